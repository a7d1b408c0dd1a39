"use strict";
const data = JSON.parse(document.getElementById("data").textContent);
const $ = id => document.getElementById(id);
const STEP = 40; // groups drawn at a time
let shown = STEP, groups = [], from = data.threshold;

const plural = (count, one, many) => `${count} ${count === 1 ? one : many}`;
const percent = p => p >= 0.9995 ? "100 %" : (100 * p).toFixed(1) + " %";
const bytes = n => n > 1e6 ? (n / 1e6).toFixed(1) + " MB" : Math.max(1, Math.round(n / 1e3)) + " kB";
const measures = image => `${image.size[0]} × ${image.size[1]}, ${bytes(image.size[2])}`;
const signed = number => String(number).replace("-", "−");
const members = group => [group.original, ...group.copies.map(([image]) => image)];
const filesOf = group => group.copies.length + data.images[group.original].same.length;

function allGroups() {
  const rows = data.pairs.map((_, row) => row).filter(row => data.pairs[row].p >= from - 1e-9);
  const stars = starGroups(data.pairs, rows);
  const grouped = new Set(stars.flatMap(members));
  data.images.forEach((image, number) => {
    if (!grouped.has(number) && image.same.length) stars.push({original: number, copies: []});
  });
  return stars;
}

function namesOf(group) {
  const images = members(group).map(number => data.images[number]);
  return images.flatMap(image => [image.name, ...image.same.map(file => file.name)]);
}

function regroup() {
  const needle = $("filter").value.toLowerCase();
  groups = allGroups();
  const unfiltered = groups.length;
  if (needle) groups = groups.filter(g => namesOf(g).some(name => name.toLowerCase().includes(needle)));
  const probabilities = group => group.copies.map(([, row]) => data.pairs[row].p);
  const surest = group => Math.max(...probabilities(group), group.copies.length ? 0 : 1);
  const least = group => Math.min(...probabilities(group), 1);
  const size = number => data.images[number].size[2];
  const space = group => group.copies.reduce((sum, [image]) => sum + size(image), 0)
    + size(group.original) * data.images[group.original].same.length;
  const orders = {
    size: (a, b) => filesOf(b) - filesOf(a) || surest(b) - surest(a),
    sure: (a, b) => surest(b) - surest(a),
    unsure: (a, b) => least(a) - least(b),
    bytes: (a, b) => space(b) - space(a),
    name: (a, b) => data.images[a.original].name.localeCompare(data.images[b.original].name),
  };
  const order = $("sort").value;
  // By size the groups are numbered as in the table (ScanResult.groups).
  groups.sort((a, b) => orders[order](a, b) || a.original - b.original);
  if (order === "unsure") {
    groups = groups.map(group => ({...group, copies: [...group.copies].reverse()}));
  }
  shown = STEP;
  draw(emptyMessage(needle, unfiltered));
}

function emptyMessage(needle, unfiltered) {
  if (unfiltered && needle) return `No name in these groups contains “${needle}”.`;
  if (data.pairs.length) {
    return "Nothing at this probability. Move the slider to the left to see less certain pairs.";
  }
  return "No copies were found.";
}

function make(tag, classes, text) {
  const element = document.createElement(tag);
  if (classes) element.className = classes;
  if (text !== undefined) element.textContent = text;
  return element;
}

function link(file, text) {
  const element = make("a", "", text || file.name);
  element.href = file.link;
  element.target = "_blank";
  element.rel = "noopener";
  return element;
}

function framed(image, outline) {
  const box = make("span", "box");
  if (!image.picture) {
    box.append(make("i", "", "no picture"));
    return box;
  }
  const picture = make("img");
  picture.src = image.picture;
  picture.alt = image.name;
  picture.loading = "lazy";
  box.append(picture);
  box.style.setProperty("--ratio", image.size[0] / image.size[1]);
  if (outline && outline.length) {
    const namespace = "http://www.w3.org/2000/svg";
    const svg = document.createElementNS(namespace, "svg");
    svg.setAttribute("class", "outline");
    svg.setAttribute("viewBox", "0 0 1 1");
    svg.setAttribute("preserveAspectRatio", "none");
    const polygon = document.createElementNS(namespace, "polygon");
    polygon.setAttribute("points", outline.map(point => point.join(",")).join(" "));
    svg.append(polygon);
    box.append(svg);
  }
  return box;
}

// A picture that opens a pair; without one it is no button.
function shot(image, pair, outline, label) {
  const element = make(pair ? "button" : "div", "shot");
  const fit = make("span", "fit");
  fit.append(framed(image, outline));
  element.append(fit);
  if (pair) {
    element.setAttribute("aria-label", label);
    element.addEventListener("click", () => open(pair));
  }
  return element;
}

function identicalFiles(image) {
  const details = make("details"), list = make("ul");
  details.append(make("summary", "", plural(image.same.length, "identical file", "identical files")));
  for (const file of image.same) {
    const entry = make("li");
    entry.append(link(file));
    list.append(entry);
  }
  details.append(list);
  details.open = image.same.length < 4;
  return details;
}

function describe(element, image, tags, lines) {
  if (image.library) tags.push(make("span", "tag", "library"));
  const first = make("p", "tags"), name = make("p", "name");
  first.append(...tags);
  name.append(link(image));
  if (tags.length) element.append(first);
  element.append(name, make("p", "soft", measures(image)), ...lines);
  if (image.same.length) element.append(identicalFiles(image));
}

function originalItem(group) {
  const image = data.images[group.original], element = make("div", "item original");
  const pair = group.copies.length ? data.pairs[group.copies[0][1]] : null;
  element.append(shot(image, pair, null, `Compare ${image.name} with its first copy`));
  const clear = group.copies.some(([, row]) => {
    return data.pairs[row].clear && data.pairs[row].original === group.original;
  });
  const notes = image.notes ? [make("p", "soft", image.notes)] : [];
  describe(element, image, clear ? [make("span", "tag", "original")] : [], notes);
  return element;
}

function copyItem(number, pair) {
  const image = data.images[number], element = make("div", "item");
  const outline = pair.outlines[pair.original === number ? 0 : 1];
  element.append(shot(image, pair, outline, `Compare ${image.name} with the other version`));
  const tags = [make("span", "tag p", percent(pair.p))];
  if (!pair.clear) tags.push(make("span", "tag", "direction unclear"));
  else if (pair.original === number) tags.push(make("span", "tag", "original"));
  const edits = pair.edits.length ? [make("p", "", pair.edits.join(", "))] : [];
  describe(element, image, tags, edits);
  return element;
}

function open(pair) {
  const original = data.images[pair.original], copy = data.images[pair.copy];
  const [first, second] = pair.clear ? ["original", "copy"] : ["one version", "other version"];
  $("compare-title").textContent =
    pair.clear ? "Original and copy" : "Two versions; which came first is unclear";
  $("both").replaceChildren(
    framed(original, pair.outlines[0]),
    make("span", "", pair.clear ? "→" : "–"),
    framed(copy, pair.outlines[1]));
  const list = make("dl");
  const row = (name, value) => {
    if (value) list.append(make("dt", "", name), make("dd", "", value));
  };
  const file = (name, image) => {
    const cell = make("dd");
    cell.append(link(image), ` (${measures(image)})${image.notes ? " · " + image.notes : ""}`);
    list.append(make("dt", "", name), cell);
  };
  file(first, original);
  file(second, copy);
  row("probability", percent(pair.p));
  row("direction", pair.clear ? pair.why : "unclear");
  row("probable edits", pair.edits.join(", "));
  row("shared", pair.reason);
  row("embedding",
    `cosine ${signed(pair.cosine)}, log-norms ${signed(original.norm)} (${first}) and ` +
    `${signed(copy.norm)} (${second})`);
  $("words").replaceChildren(list);
  $("compare").showModal();
}

function section(group, number, copyIn) {
  const element = make("section", group.copies.length > 1 ? "group wide" : "group");
  const header = make("header");
  const found = plural(filesOf(group), "copy", "copies");
  header.append(make("b", "", `Group ${number}`), make("span", "", found));
  if (copyIn.has(group.original)) {
    const other = copyIn.get(group.original);
    header.append(make("span", "", `its original is itself a copy in group ${other}`));
  }
  const both = make("div", "members"), rest = make("div", "copies");
  both.append(originalItem(group), rest);
  group.copies.forEach(([image, row]) => rest.append(copyItem(image, data.pairs[row])));
  element.append(header, both);
  return element;
}

function draw(empty) {
  $("value").textContent = percent(from);
  const copies = groups.reduce((sum, group) => sum + filesOf(group), 0);
  $("count").textContent =
    `${plural(groups.length, "group", "groups")}, ${plural(copies, "copy", "copies")}`;
  const list = document.createDocumentFragment();
  const copyIn = new Map();
  groups.forEach((group, n) => group.copies.forEach(([image, row]) => {
    if (data.pairs[row].clear && data.pairs[row].copy === image) copyIn.set(image, n + 1);
  }));
  groups.slice(0, shown).forEach((group, n) => list.append(section(group, n + 1, copyIn)));
  if (!groups.length) list.append(make("p", "empty", empty));
  $("groups").replaceChildren(list);
  $("more").hidden = groups.length <= shown;
}

$("threshold").min = Math.min(0.5, data.threshold);
$("threshold").value = data.threshold;
// The slider has steps, the threshold of the scan has not.
$("threshold").addEventListener("input", () => { from = Number($("threshold").value); regroup(); });
for (const id of ["sort", "filter"]) $(id).addEventListener("input", regroup);
$("more").addEventListener("click", () => { shown += STEP; draw(""); });
regroup();
