// The list of groups, filters, rules, keys, and what is done about the decisions.
const STEP = 30; // groups drawn at a time
let shown = STEP, visible = []; // visible: [{group, members}]
let current = null; // the item that keys act on
let asking = null; // pair of the threshold check that is open

function make(tag, classes, text) {
  const element = document.createElement(tag);
  if (classes) element.className = classes;
  if (text !== undefined) element.textContent = text;
  return element;
}

function button(text, act, classes) {
  const element = make("button", classes, text);
  element.type = "button";
  element.addEventListener("click", act);
  return element;
}

function say(text, bad) {
  $("status").textContent = text;
  $("status").classList.toggle("bad", Boolean(bad));
}

// Runs a request; an error becomes the status line.
async function attempt(work) {
  try {
    return await work();
  } catch (error) {
    say(error.message, true);
    return null;
  }
}

function passes(member, group) {
  const file = review.files[member.file], root = review.files[group.members[0][0]];
  const needle = $("name").value.toLowerCase(), edit = $("edit").value, direction = $("direction").value;
  if (needle && !file.name.toLowerCase().includes(needle)) return false;
  if (edit && !kindsOf(member).includes(edit)) return false;
  if (direction && directionOf(member) !== direction) return false;
  const smaller = file.size[0] * file.size[1] < root.size[0] * root.size[1];
  if ($("size").value && smaller !== ($("size").value === "smaller")) return false;
  const keep = keeps(member.file), state = $("state").value;
  if (state && state !== (keep === null ? "open" : keep ? "keep" : "remove")) return false;
  return member.probability >= Number($("certainty").value) - 1e-9;
}

// A group is shown with its root and the members that pass; the root alone may be what was looked for.
function filtered(group) {
  const members = membersOf(group);
  if (members.length < 2) return null;
  const found = members.filter(member => member.parent !== null && passes(member, group));
  const named = $("name").value || $("state").value;
  if (!found.length && !(named && passes(members[0], group) && !$("edit").value && !$("direction").value)) {
    return null;
  }
  if (!found.length) return {group, members};
  return {group, members: members[0].parent === null ? [members[0], ...found] : found};
}

const spaceOf = entry => entry.members.slice(1).reduce((sum, m) => sum + review.files[m.file].size[2], 0);
const leastOf = entry => Math.min(...entry.members.map(m => m.probability));
const ORDERS = {
  number: (a, b) => a.group.number - b.group.number,
  unsure: (a, b) => leastOf(a) - leastOf(b),
  space: (a, b) => spaceOf(b) - spaceOf(a),
  name: (a, b) => review.files[a.members[0].file].name.localeCompare(review.files[b.members[0].file].name),
};

function refilter() {
  visible = review.groups.map(filtered).filter(Boolean);
  const order = ORDERS[$("sort").value];
  visible.sort((a, b) => order(a, b) || a.group.number - b.group.number);
  $("certainty-value").textContent = percent(Number($("certainty").value));
  shown = STEP;
  draw();
}

const watched = new IntersectionObserver(entries => {
  for (const entry of entries) {
    if (!entry.isIntersecting) continue;
    const image = entry.target;
    watched.unobserve(image);
    thumbnail(Number(image.dataset.image)).then(address => { image.src = address; }, () => {
      image.alt = "no picture";
    });
  }
}, {rootMargin: "600px"});
const thumbnails = new Map();

function thumbnail(image) {
  if (!thumbnails.has(image)) thumbnails.set(image, askPicture(`/thumbnail/${image}`));
  return thumbnails.get(image);
}

function choice(item, keep, text) {
  const label = make("label", keep ? "tick keep" : "tick remove"), box = make("input");
  box.type = "checkbox";
  box.tabIndex = -1;
  box.addEventListener("change", () => decide([item.member.file], box.checked ? keep : null));
  label.append(box, text);
  item[keep ? "keepBox" : "removeBox"] = box;
  return label;
}

const TAGS = {
  root: "original", same: "identical file", unclear: "direction unclear", clear: "copy",
  reverse: "original of it",
};

function tagsOf(member, group) {
  if (group.kind === "same moment") return member.parent === null ? ["sharpest"] : [];
  const tags = [], direction = directionOf(member);
  const sure = group.members.some(other => other[2] !== null && other[3]);
  if (direction !== "root" || sure) tags.push(TAGS[direction]);
  if (member.pair !== null) tags.push(percent(member.probability));
  if (review.files[member.file].library) tags.push("library");
  return tags;
}

function itemOf(group, member) {
  const file = review.files[member.file];
  const element = make("article", "item"), item = {element, member, group};
  const shot = button("", () => open(item), "shot");
  const image = make("img");
  image.alt = file.name;
  image.dataset.image = file.image;
  image.style.setProperty("--ratio", file.size[0] / file.size[1]);
  watched.observe(image);
  shot.append(image);
  shot.tabIndex = -1;
  shot.setAttribute("aria-label", `Compare ${file.name}`);
  const tags = make("p", "tags");
  tags.append(...tagsOf(member, group).map(text => make("span", "tag", text)));
  const ticks = make("p", "ticks");
  if (file.library) ticks.append(make("span", "soft", "stays: it belongs to the library"));
  else ticks.append(choice(item, true, "Keep"), choice(item, false, "Remove"));
  const edits = editsOf(member).filter(edit => edit !== "exact copy").join(", ");
  element.append(shot, tags, make("p", "name", file.name), make("p", "soft", measures(file)));
  if (edits) element.append(make("p", "soft", edits));
  if (member.parent !== null && member.parent !== group.members[0][0]) {
    element.append(make("p", "soft", `from ${baseName(review.files[member.parent].name)}`));
  }
  if (doubts[member.file]) element.append(make("p", "soft doubt", `left to you: ${doubts[member.file]}`));
  element.append(ticks);
  element.tabIndex = -1;
  element.addEventListener("focusin", () => focus(item, false));
  element.addEventListener("click", () => focus(item, false));
  return item;
}

let items = [];
const doubts = {}; // number of a file -> why a rule left it

function draw() {
  items = [];
  watched.disconnect();
  const list = document.createDocumentFragment();
  for (const {group, members} of visible.slice(0, shown)) {
    const section = make("section", members.length > 2 ? "group large" : "group");
    const header = make("header");
    header.append(make("b", "", `Group ${group.number}`),
      make("span", "", plural(membersOf(group).length, "file", "files")));
    if (group.kind === "same moment") {
      header.append(make("span", "", "shots of one moment, no copies; no rule decides about them"));
    }
    const row = make("div", "members");
    for (const member of members) {
      const item = itemOf(group, member);
      items.push(item);
      row.append(item.element);
    }
    section.append(header, row);
    list.append(section);
  }
  if (!visible.length) list.append(make("p", "empty", emptyText()));
  $("groups").replaceChildren(list);
  $("more").hidden = visible.length <= shown;
  refresh();
  const again = current && items.find(item => item.member.file === current.member.file);
  if (items.length) focus(again || items[0], false);
  else current = null;
}

function emptyText() {
  const open = review.groups.filter(group => membersOf(group).length > 1).length;
  return open ? "No group fits the filter." : "Nothing is left to decide: every copy is gone or marked.";
}

// Ticks, frames and totals, without drawing the pictures again.
function refresh() {
  for (const item of items) {
    const keep = keeps(item.member.file);
    item.element.classList.toggle("goes", keep === false);
    item.element.classList.toggle("stays", keep === true);
    if (item.keepBox) item.keepBox.checked = keep === true;
    if (item.removeBox) item.removeBox.checked = keep === false;
  }
  const count = totals();
  $("totals").replaceChildren(
    make("b", "", `${plural(count.remove, "file", "files")} to remove, ${bytes(count.space)}`),
    make("span", "", `${count.keep} to keep · ${count.open} open`));
  $("check").disabled = !count.remove;
  $("undo").disabled = !review.can_undo;
  $("put-back").hidden = !review.can_put_back;
  if ($("compare").open && current && !asking) drawActs();
}

function focus(item, scroll = true) {
  current?.element.classList.remove("current");
  current = item;
  item.element.classList.add("current");
  if (scroll) {
    item.element.focus({preventScroll: true});
    item.element.scrollIntoView({block: "nearest"});
  }
}

function step(by) {
  let place = items.indexOf(current) + by;
  // At full size only pairs are of use: neither originals alone nor identical files.
  while ($("compare").open && items[place] && items[place].member.pair === null) place += by;
  if (place >= items.length && visible.length > shown) {
    shown += STEP;
    draw();
  }
  if (place < 0 || place >= items.length) return;
  focus(items[place]);
  if ($("compare").open) open(current);
}

async function decide(files, keep) {
  const answer = await attempt(() => askJson("/decide", {files, keep}));
  if (!answer) return;
  take(answer);
  say("");
  refresh();
}

async function undo() {
  const answer = await attempt(() => askJson("/undo", {}));
  if (!answer) return;
  take(answer);
  say(answer.undone ? "The last step is undone." : "There is no step to undo.");
  refilter();
}

// The pair of an item: of a root that with its first copy; none for identical files.
function pairOf(item) {
  if (item.member.pair !== null) return review.pairs[item.member.pair];
  const other = item.member.parent === null && item.group.members.find(member => member[2] !== null);
  return other ? review.pairs[other[2]] : null;
}

async function mark(text) {
  const files = identicalOf(current);
  const pair = pairOf(current);
  if (!pair && !(files && text === "keep both")) return;
  const [first, second] = pair ? [pair.original, pair.copy] : files;
  const next = items[items.indexOf(current) + 1] || current;
  const answer = await attempt(() => askJson("/mark", {first, second, mark: text}));
  if (!answer) return;
  take(answer);
  current = next;
  say(text === "copy" ? "Marked as a copy."
    : `Marked “${text}”: the pair is not shown again, in the next scan neither. “Undo” takes it back.`);
  refilter();
  if (!$("compare").open) return;
  if (current) open(current);
  else $("compare").close();
}

function identicalOf(item) {
  if (item.member.pair !== null || item.member.parent === null) return null;
  return [item.member.parent, item.member.file];
}

// The two files of a pair as they are shown: the original, or what stands above, on the left.
const sided = pair => ({...pair, left: pair.original, right: pair.copy});

function open(item) {
  const pair = pairOf(item);
  asking = null;
  // An original alone shows its first copy, so that the keys act on the copy.
  const copy = item.member.parent === null && pair
    && items.find(other => other.group === item.group && other.member.pair !== null);
  focus(copy || item, false);
  if (!pair) {
    say(`${review.files[item.member.file].name} is the same, byte for byte.`);
    if ($("compare").open) $("compare").close();
    return;
  }
  openPair(sided(pair), pair.clear ? "Original and copy" : "Two versions; which came first is unclear");
  drawActs();
}

function openPair(pair, title) {
  $("compare-title").textContent = title;
  if (!$("compare").open) {
    $("compare").showModal();
    setMode(view.mode);
  }
  showPair(pair);
}

function caption(place, number, word) {
  const file = review.files[number], text = make("p"), notes = file.notes ? ` · ${file.notes}` : "";
  text.append(make("b", "", `${word}: ${file.name}`), measures(file) + notes);
  place.replaceChildren(text);
  if (asking || file.library) return;
  const ticks = make("div", "ticks");
  for (const [keep, label] of [[true, "Keep"], [false, "Remove"]]) {
    const tick = make("label", keep ? "tick keep" : "tick remove"), box = make("input");
    box.type = "checkbox";
    box.checked = keeps(number) === keep;
    box.addEventListener("change", () => decide([number], box.checked ? keep : null));
    tick.append(box, label);
    ticks.append(tick);
  }
  place.append(ticks);
}

function drawCaptions() {
  const {pair} = view, [first, second] = wordsOf(pair);
  caption($("caption-one"), pair.left, first);
  caption($("caption-two"), pair.right, second);
}

function drawActs() {
  const {pair} = view;
  drawCaptions();
  const facts = [pair.clear && `${pair.why}`, pair.edits.join(", "), pair.reason, pair.mark && `marked: ${pair.mark}`];
  const words = facts.filter(Boolean);
  if (!pair.clear) words[words.length - (pair.mark ? 2 : 1)] = plainReason(pair);
  $("facts").replaceChildren(make("b", "", percent(pair.p)), ` · ${words.join(" · ")}`);
  const acts = [
    button("← Previous", () => step(-1)),
    button("A copy", () => mark("copy"), pair.mark === "copy" ? "on" : ""),
    button("Not a copy", () => mark("not a copy")),
    button("Keep both", () => mark("keep both")),
    button("Next →", () => step(1)),
  ];
  $("acts").replaceChildren(...acts);
}

// Where the direction is unclear nothing is called original or copy.
function plainReason(pair) {
  return pair.reason.replace(/the (original|copy)/g, (_, word) => word === "original" ? "A" : "B");
}

// The check of the threshold: pairs chosen by their probability alone.
async function nextQuestion() {
  const answer = await attempt(() => askJson("/question"));
  if (!answer) return;
  review.calibration = answer.calibration;
  if (answer.pair === null) {
    asking = null;
    $("compare").close();
    say(`There is no pair left to ask about. ${calibrationText()}`);
    return;
  }
  asking = {...review.pairs[answer.pair]};
  openPair({...sided(asking), clear: false}, "Was one of these made from the other?");
  drawCaptions();
  $("facts").textContent = calibrationText(); // no probability: the answer should not follow it
  const acts = [
    button("Yes, a copy", () => reply("copy")),
    button("No, not a copy", () => reply("not a copy")),
    button("I cannot tell", () => reply("unsure")),
  ];
  $("acts").replaceChildren(...acts);
}

async function reply(text) {
  const {original, copy, answered} = asking;
  if (answered) return; // a key pressed twice
  asking.answered = true;
  const answer = await attempt(() => askJson("/mark", {first: original, second: copy, mark: text, asked: true}));
  if (!answer) return;
  take(answer);
  await nextQuestion();
}

function calibrationText() {
  const {answers, least, precision} = review.calibration;
  if (answers < least) {
    return `${answers} of ${least} answers; with ${least} the next scan uses them.`;
  }
  const share = value => Math.round(100 * value);
  return precision
    ? `${plural(answers, "answer", "answers")}: of the pairs found about ${share(precision.estimate)} % are copies `
      + `(${share(precision.low)} to ${share(precision.high)} %); the next scan uses this.`
    : `${plural(answers, "answer", "answers")}; the next scan uses them.`;
}

function listed(rows, cells) {
  const table = make("table"), body = make("tbody");
  for (const row of rows.slice(0, 500)) {
    const line = make("tr");
    line.append(...cells(row).map(text => make("td", "", text)));
    body.append(line);
  }
  table.append(body);
  const box = make("div", "listed");
  box.append(table);
  if (rows.length > 500) box.append(make("p", "soft", `and ${rows.length - 500} more`));
  return box;
}

let plan = null;

async function look() {
  say("Comparing the files with the scan…");
  plan = await attempt(() => askJson("/plan"));
  if (!plan) return;
  say("");
  $("list-title").textContent =
    `${plural(plan.moves.length, "file", "files")} would go to the trash, ${bytes(plan.bytes)}`;
  const body = [listed(plan.moves, ([name, size, by]) => [name, bytes(size), by === "hand" ? "by hand" : by])];
  if (plan.refused.length) {
    body.push(make("h3", "", `${plural(plan.refused.length, "file", "files")} refused`),
      listed(plan.refused, row => row));
  }
  body.push(make("p", "soft", `${plan.moves.length + plan.refused.length + plan.kept} decided = `
    + `${plan.moves.length} to go + ${plan.refused.length} refused + ${plan.kept} kept`));
  $("list-body").replaceChildren(...body);
  $("list-move").textContent = `Move ${plural(plan.moves.length, "file", "files")} to the trash`;
  $("list-move").disabled = $("list-script").disabled = !plan.moves.length;
  $("list").showModal();
}

async function act(how) {
  $("list-move").disabled = $("list-script").disabled = true;
  const answer = await attempt(() => askJson("/apply", {code: plan.code, how}));
  $("list").close();
  if (!answer) return;
  take(answer);
  const refused = answer.refused.length ? ` Refused: ${answer.refused.map(([name, why]) => `${name} (${why})`).join("; ")}` : "";
  say(how === "script"
    ? `The script is ${answer.script}; read it, then run it with sh.`
    : `${plural(answer.moved, "file", "files")} moved to the trash, ${bytes(answer.bytes)} won; `
      + `${answer.refused.length} refused, ${answer.kept} kept.${refused}`, answer.refused.length > 0);
  refilter();
}

async function putBack() {
  const answer = await attempt(() => askJson("/put-back", {}));
  if (!answer) return;
  take(answer);
  const refused = answer.refused.map(([name, why]) => `${name} (${why})`).join("; ");
  say(`${plural(answer.restored, "file", "files")} put back.${refused ? " Not: " + refused : ""}`, Boolean(refused));
  refilter();
}

async function useRule() {
  const files = visible.flatMap(entry => entry.members.map(member => member.file));
  const rule = $("rule").value, folder = rule === "keep-folder" ? $("folder").value : null;
  say("Comparing the files at full size. A rule removes only what is in a file that stays…");
  $("use-rule").disabled = true;
  const answer = await attempt(() => askJson("/rule", {rule, folder, files}));
  $("use-rule").disabled = false;
  if (!answer) return;
  take(answer);
  say(`${plural(answer.going, "file", "files")} to go, ${answer.staying} to stay. `
    + (answer.left ? `${answer.left}.` : "A rule never removes an original."));
  Object.assign(doubts, answer.doubts);
  draw();
}

function fillChoices() {
  const kinds = new Set(), folders = new Set();
  for (const group of review.groups) {
    for (const member of membersOf(group)) {
      kindsOf(member).forEach(kind => kinds.add(kind));
      folders.add(folderOf(review.files[member.file]));
    }
  }
  const options = (values, name) => [...values].sort().map(value => {
    const option = make("option", "", name(value));
    option.value = value;
    return option;
  });
  $("edit").replaceChildren($("edit").options[0], ...options(kinds, value => value));
  $("folder").replaceChildren(...options(folders, value => value || "(top folder)"));
}

const KEYS = {
  ArrowRight: () => step(1), n: () => step(1), ArrowLeft: () => step(-1), p: () => step(-1),
  r: () => decideAndGo(false), k: () => decideAndGo(true), u: undo,
  Enter: () => open(current), c: () => mark("copy"), x: () => mark("not a copy"), b: () => mark("keep both"),
  1: () => setMode("side"), 2: () => setMode("blink"), 3: () => setMode("overlay"), 4: () => setMode("difference"),
  "+": () => zoomBy(1.6), "-": () => zoomBy(1 / 1.6), 0: () => zoomBy(0), " ": flip,
};
const ASKED_KEYS = {c: () => reply("copy"), x: () => reply("not a copy"), " ": () => reply("unsure")};
const VIEW_KEYS = ["1", "2", "3", "4", "+", "-", "0"];

async function decideAndGo(keep) {
  if (review.files[current.member.file].library) return;
  await decide([current.member.file], keep);
  step(1);
}

document.addEventListener("keydown", event => {
  const typing = event.target.matches("input:not([type=checkbox]), select, textarea");
  if (typing || event.ctrlKey || event.metaKey || event.altKey || $("list").open || $("help").open) return;
  if (event.target.matches("button") && ["Enter", " "].includes(event.key) && !event.target.matches(".shot")) return;
  const inView = $("compare").open;
  let act = KEYS[event.key];
  if (inView && asking) act = ASKED_KEYS[event.key] || (VIEW_KEYS.includes(event.key) ? act : null);
  else if (!inView && (VIEW_KEYS.includes(event.key) || event.key === " ")) act = null;
  if (!act || (!current && !asking)) return;
  event.preventDefault();
  act();
});

for (const id of ["name", "edit", "direction", "size", "state", "sort", "certainty"]) {
  $(id).addEventListener("input", refilter);
}
$("rule").addEventListener("input", () => { $("folder-label").hidden = $("rule").value !== "keep-folder"; });
$("use-rule").addEventListener("click", useRule);
$("ask").addEventListener("click", nextQuestion);
$("more").addEventListener("click", () => { shown += STEP; draw(); });
$("undo").addEventListener("click", undo);
$("put-back").addEventListener("click", putBack);
$("check").addEventListener("click", look);
$("keys").addEventListener("click", () => $("help").showModal());
$("list-close").addEventListener("click", () => $("list").close());
$("list-move").addEventListener("click", () => act("trash"));
$("list-script").addEventListener("click", () => act("script"));
$("compare-close").addEventListener("click", () => $("compare").close());
$("compare").addEventListener("close", () => {
  clearInterval(view.blink);
  if (asking) say(calibrationText());
  asking = null;
  if (review) refilter();
});
$("token-save").addEventListener("click", () => {
  sessionStorage.setItem("asl-review-token", $("token").value);
  $("token-row").hidden = true;
  start();
});
$("token").addEventListener("keydown", event => { if (event.key === "Enter") $("token-save").click(); });

async function start() {
  const answer = await attempt(() => askJson("/review"));
  if (!answer) return;
  take(answer);
  $("filters").open = !matchMedia("(max-width: 700px)").matches;
  $("certainty").min = $("certainty").value = review.threshold;
  fillChoices();
  refilter();
}
start();
