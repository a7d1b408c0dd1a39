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

const filesOf = (image, library) => data.images[image].files.filter(file => file.library === library);
const isNew = image => filesOf(image, false).length > 0;
const inLibrary = image => filesOf(image, true).length > 0;
const twinned = image => data.across ? isNew(image) && inLibrary(image) : data.images[image].files.length > 1;
// The file that stands for an image: of the photos, or of the library.
const fileOf = (image, asNew) => [...filesOf(image, !asNew), ...data.images[image].files][0];
const isShownAsNew = (family, image) => !data.across || image === family.members[0].image;
// Files identical with the one that is shown; those of a library are named on the new picture.
function twinsOf(family, image) {
  if (family.kind === "same moment") return [];
  const files = data.images[image].files, shown = fileOf(image, isShownAsNew(family, image));
  if (data.across && !isShownAsNew(family, image)) return [];
  return files.filter(file => file !== shown);
}
const below = family => family.members.slice(1);
const imagesOf = family => data.across ? family.members.slice(0, 1) : family.members;
const twinCount = family => imagesOf(family).reduce((sum, {image}) => {
  if (!data.across || !inLibrary(image)) return sum + twinsOf(family, image).length;
  return sum + filesOf(image, false).length; // as in ScanImage.identical
}, 0);
// Library files that match a new picture, identical ones included.
const matchesOf = family => below(family).length + filesOf(family.members[0].image, true).length;
const copiesOf = family => below(family).length + twinCount(family);

function allFamilies() {
  const all = data.pairs.map((_, row) => row);
  for (const pair of data.pairs) pair.moment = pair.burst || pair.near && pair.p < from - 1e-9;
  const rows = all.filter(row => data.pairs[row].p >= from - 1e-9);
  const families = data.across
    ? libraryFamilies(data.pairs, rows, isNew, inLibrary) : copyFamilies(data.pairs, rows);
  const grouped = new Set(families.flatMap(family => imagesOf(family).map(({image}) => image)));
  const kind = data.across ? "library matches" : "copies";
  data.images.forEach((_, image) => {
    if (grouped.has(image) || !twinned(image)) return;
    families.push({kind, members: [{image, parent: null, row: null, depth: 0}], beside: []});
  });
  if (data.across) return families;
  const copies = new Set(families.flatMap(family => below(family).map(({image}) => image)));
  const moments = momentFamilies(data.pairs, all, image => data.images[image].sharpness, copies);
  return [...families, ...moments];
}

const namesOf = family => family.members.flatMap(({image}) => data.images[image].files.map(file => file.name));

function regroup() {
  const needle = $("filter").value.toLowerCase();
  groups = allFamilies();
  const unfiltered = groups.length;
  if (needle) groups = groups.filter(g => namesOf(g).some(name => name.toLowerCase().includes(needle)));
  const probabilities = family => below(family).map(({row}) => data.pairs[row].p);
  const surest = family => Math.max(...probabilities(family), below(family).length ? 0 : 1);
  const least = family => Math.min(...probabilities(family), 1);
  const size = image => data.images[image].size[2];
  const space = family => data.across || family.kind === "same moment" ? 0
    : family.members.reduce((sum, {image}) => sum + size(image) * data.images[image].files.length, 0)
      - size(family.members[0].image);
  const isMoment = family => family.kind === "same moment" ? 1 : 0;
  const name = family => fileOf(family.members[0].image, true).name;
  const orders = {
    // The groups are numbered as in the table (ScanResult.families).
    size: (a, b) => isMoment(a) - isMoment(b) || copiesOf(b) - copiesOf(a) || surest(b) - surest(a),
    sure: (a, b) => surest(b) - surest(a),
    unsure: (a, b) => least(a) - least(b),
    bytes: (a, b) => space(b) - space(a),
    name: (a, b) => name(a).localeCompare(name(b)),
  };
  const order = $("sort").value;
  groups.sort((a, b) => orders[order](a, b) || a.members[0].image - b.members[0].image);
  shown = STEP;
  draw(emptyMessage(needle, unfiltered));
}

function emptyMessage(needle, unfiltered) {
  if (unfiltered && needle) return `No name in these groups contains “${needle}”.`;
  if (data.pairs.length) {
    return "Nothing at this probability. Move the slider to the left to see less certain pairs.";
  }
  return data.across ? "No new picture has a match in the library." : "No copies were found.";
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
  picture.alt = image.files[0].name;
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

// The file itself where the browser can show it, else its thumbnail.
function large(image, outline) {
  const box = framed(image, outline), picture = box.querySelector("img");
  if (picture) {
    picture.addEventListener("error", () => { picture.src = image.picture; }, {once: true});
    picture.loading = "eager";
    picture.src = image.files[0].link;
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

function identicalFiles(files) {
  const details = make("details"), list = make("ul");
  details.append(make("summary", "", plural(files.length, "identical file", "identical files")));
  for (const file of files) {
    const entry = make("li");
    entry.append(link(file));
    if (data.across && file.library) entry.append(" ", make("span", "tag", "library"));
    if (file.beside) entry.append(` (${together(file)})`);
    list.append(entry);
  }
  details.append(list);
  details.open = files.length < 4;
  return details;
}

// The other files of the shot of a file, which would be left behind without it.
function together(file) {
  return `one shot with ${file.beside}: keep them together`;
}

// One picture of a group, with its tags; `pair` is the one that a click opens.
function item(family, member, pair, outline, tags, lines) {
  const image = data.images[member.image], file = fileOf(member.image, isShownAsNew(family, member.image));
  const element = make("div", member.parent === null ? "item original" : "item");
  const name = make("p", "name"), twins = twinsOf(family, member.image);
  element.append(shot(image, pair, outline, `Compare ${file.name} with the other version`));
  if (tags.length) {
    const first = make("p", "tags");
    first.append(...tags.map(([classes, text]) => make("span", classes, text)));
    element.append(first);
  }
  name.append(link(file));
  element.append(name, make("p", "soft", measures(image)));
  element.append(...lines.filter(Boolean).map(([classes, text]) => make("p", classes, text)));
  if (file.beside) element.append(make("p", "soft", together(file)));
  if (twins.length) element.append(identicalFiles(twins));
  return element;
}

function firstItem(family) {
  const [first, second] = family.members, image = data.images[first.image];
  const pair = second ? data.pairs[second.row] : null;
  const isOriginal = family.kind === "copies" && below(family).some(
    ({parent, row}) => parent === first.image && data.pairs[row].clear);
  const words = {"same moment": "sharpest", "library matches": "new"};
  const tag = words[family.kind] || (isOriginal ? "original" : "");
  const notes = image.notes ? ["soft", image.notes] : null;
  return item(family, first, pair, null, tag ? [["tag", tag]] : [], [notes]);
}

// All of a picture is in a part of another one, as its source or cut from it.
function isPart(outline, ofOther) {
  return areaOf(outline) > 0.97 && areaOf(ofOther) < 0.92;
}

// What a picture is to the one that it stands under.
function kinship(pair, outline, ofParent) {
  if (pair.clear) return "from";
  return isPart(outline, ofParent) ? "a part of" : "a version of";
}

function areaOf(outline) {
  let twice = 0;
  outline.forEach(([x, y], place) => {
    const [nextX, nextY] = outline[(place + 1) % outline.length];
    twice += x * nextY - nextX * y;
  });
  return Math.abs(twice) / 2;
}

// The way from a picture to the one it stands under: probability, direction, edits.
function lowerItem(family, member) {
  const pair = data.pairs[member.row], turned = pair.copy !== member.image;
  const [ofParent, outline] = turned ? [...pair.outlines].reverse() : pair.outlines;
  const tags = [["tag p", percent(pair.p)]], words = kinship(pair, outline, ofParent);
  let edits = turned ? pair.back_edits : pair.edits;
  if (family.kind === "same moment") {
    tags.splice(0, 1, ["tag p", percent(pair.m)], ["tag", "same moment"]);
    edits = [];
  } else if (!pair.clear) {
    tags.push(["tag", "direction unclear"]);
  } else if (data.across) {
    tags.push(["tag", turned ? "original" : "copy"]);
    edits = pair.edits;
  }
  if (data.across) tags.push(["tag", "library"]);
  return item(family, member, pair, outline, tags, [
    hasGenerations(family) ? ["soft", `${words} ${fileOf(member.parent, true).name}`] : null,
    edits.length ? ["", edits.join(", ")] : null,
  ]);
}

function open(pair) {
  const original = data.images[pair.original], copy = data.images[pair.copy];
  const isCopy = pair.clear && !pair.moment;
  const [first, second] = isCopy ? ["original", "copy"]
    : pair.moment ? ["one shot", "other shot"] : ["one version", "other version"];
  $("compare-title").textContent = isCopy ? "Original and copy"
    : pair.moment ? "Two shots of one moment" : "Two versions; which came first is unclear";
  $("both").replaceChildren(
    large(original, pair.outlines[0]),
    make("span", "", isCopy ? "→" : "–"),
    large(copy, pair.outlines[1]));
  const list = make("dl");
  const row = (name, value) => {
    if (value) list.append(make("dt", "", name), make("dd", "", value));
  };
  const file = (name, image) => {
    const cell = make("dd");
    const shown = image.files[0], notes = [image.notes, shown.beside ? together(shown) : ""];
    cell.append(link(shown), [` (${measures(image)})`, ...notes.filter(Boolean)].join(" · "));
    list.append(make("dt", "", name), cell);
  };
  file(first, original);
  file(second, copy);
  row("probability", percent(pair.moment ? pair.m : pair.p));
  if (!pair.moment) {
    row("direction", pair.clear ? pair.why : "unclear");
    row("probable edits", pair.edits.join(", "));
  }
  row("shared", pair.reason);
  row("embedding",
    `cosine ${signed(pair.cosine)}, log-norms ${signed(original.norm)} (${first}) and ` +
    `${signed(copy.norm)} (${second})`);
  $("words").replaceChildren(list);
  $("compare").showModal();
}

// A picture and, beside it, those that stand under it.
function branch(family, member, children) {
  const element = member.parent === null ? firstItem(family) : lowerItem(family, member);
  const lower = children.get(member.image) || [];
  if (member.parent !== null && !lower.length) return element;
  const both = make("div", member.depth > 2 ? "members deep" : "members"), rest = make("div", "copies");
  rest.append(...lower.map(child => branch(family, child, children)));
  both.append(element, rest);
  return both;
}

function deepest(family) {
  return Math.max(...family.members.map(member => member.depth));
}

// Some copies of the family have copies of their own.
function hasGenerations(family) {
  return family.kind === "copies" && deepest(family) > 1;
}

function furtherMatches(family) {
  const element = make("p", "beside", "Also alike: ");
  family.beside.forEach((row, place) => {
    const pair = data.pairs[row];
    const [one, other] = [pair.original, pair.copy].map(image => fileOf(image, true).name);
    const button = make("button", "", `${one} and ${other}, ${percent(pair.p)}`);
    button.addEventListener("click", () => open(pair));
    element.append(place ? " " : "", button);
  });
  return element;
}

function header(family, number) {
  const element = make("header"), count = data.across ? matchesOf(family) : copiesOf(family);
  element.append(make("b", "", `Group ${number}`));
  const words = family.kind === "same moment" ? plural(family.members.length, "shot", "shots") + " of one moment"
    : data.across ? plural(count, "match in the library", "matches in the library")
    : plural(count, "copy", "copies");
  element.append(make("span", "", words));
  if (hasGenerations(family)) {
    element.append(make("span", "", `${deepest(family) + 1} generations`));
  }
  return element;
}

function section(family, number) {
  const element = make("section", below(family).length > 1 ? "group wide" : "group");
  const children = new Map(), isFlat = family.kind !== "copies";
  for (const member of below(family)) {
    append(children, isFlat ? family.members[0].image : member.parent, member);
  }
  if ($("sort").value === "unsure") {
    for (const lower of children.values()) lower.sort((a, b) => data.pairs[a.row].p - data.pairs[b.row].p);
  }
  const [first] = family.members;
  element.append(header(family, number), isFlat ? flat(family, children) : branch(family, first, children));
  if (family.beside.length) element.append(furtherMatches(family));
  return element;
}

function flat(family, children) {
  const both = make("div", "members"), rest = make("div", "copies");
  const lower = children.get(family.members[0].image) || [];
  rest.append(...lower.map(member => lowerItem(family, member)));
  both.append(firstItem(family), rest);
  return both;
}

function draw(empty) {
  $("value").textContent = percent(from);
  const counted = data.across ? matchesOf : copiesOf;
  const copies = groups.reduce((sum, g) => sum + (g.kind === "same moment" ? 0 : counted(g)), 0);
  const moments = groups.filter(g => g.kind === "same moment").length;
  const words = [plural(groups.length - moments, "group", "groups"),
    data.across ? plural(copies, "match", "matches") : plural(copies, "copy", "copies")];
  if (moments) words.push(plural(moments, "burst", "bursts"));
  $("count").textContent = words.join(", ");
  const list = document.createDocumentFragment();
  groups.slice(0, shown).forEach((family, n) => list.append(section(family, n + 1)));
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
