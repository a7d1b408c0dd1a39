"use strict";
const $ = id => document.getElementById(id);
const PAGE = 50; // references drawn at a time
const UNDO_SECONDS = 8;
let offset = 0, urls = [], round = 0, searches = 0;
const removals = new Map(); // id -> timer of a removal that can still be undone

function make(tag, classes, text) {
  const element = document.createElement(tag);
  if (classes) element.className = classes;
  if (text !== undefined) element.textContent = text;
  return element;
}

function say(text, bad, undo) {
  $("status").textContent = text;
  $("status").className = bad ? "bad" : "";
  if (undo) {
    const button = make("button", "", "Undo");
    button.type = "button";
    button.addEventListener("click", undo);
    $("status").append(" ", button);
  }
}

const plural = (count, one, many) => `${count} ${count === 1 ? one : many}`;
const number = (x, digits = 3) => x.toFixed(digits).replace("-", "−");
const nameOf = reference => reference.label || reference.id;

// Object addresses of the answer on the page, released with the next search.
function keep(blob) {
  const url = URL.createObjectURL(blob);
  urls.push(url);
  return url;
}

function authorisation() {
  const token = sessionStorage.getItem("asl-token");
  return token ? {Authorization: "Bearer " + token} : {};
}

async function ask(path, options = {}) {
  let answer;
  try {
    answer = await fetch(path, {...options, headers: {...options.headers, ...authorisation()}});
  } catch {
    throw new Error("the service does not answer, or refused the upload");
  }
  if (answer.status === 401) $("token-row").hidden = false;
  if (!answer.ok) {
    throw new Error((await answer.json().catch(() => ({error: answer.statusText}))).error);
  }
  return answer;
}

function send(path, file) {
  const type = file.type.startsWith("image/") ? file.type : "application/octet-stream";
  return ask(path, {method: "POST", body: file, headers: {"Content-Type": type}});
}

const picture = async id => (await ask(`/v1/references/${id}/picture`)).blob();

function framed(src, alt, outline) {
  const box = make("span", "box"), img = make("img");
  img.alt = alt;
  img.src = src;
  box.append(img);
  if (outline.length) {
    const namespace = "http://www.w3.org/2000/svg";
    const svg = document.createElementNS(namespace, "svg");
    svg.setAttribute("viewBox", "0 0 1 1");
    svg.setAttribute("preserveAspectRatio", "none");
    const polygon = document.createElementNS(namespace, "polygon");
    polygon.setAttribute("points", outline.map(point => point.join(",")).join(" "));
    svg.append(polygon);
    box.append(svg);
  }
  return box;
}

function side(frame, name, words) {
  const element = make("div", "side"), caption = make("p", "cap");
  caption.append(make("b", "", name), words);
  element.append(frame, caption);
  return element;
}

// Sign, words and whether the sign is an arrow, which points down on a narrow screen.
function directionOf(match) {
  if (match.reason.startsWith("the same file")) return ["=", "the same file", false];
  const directions = {
    "reference->query": ["→", "your image is the copy", true],
    "query->reference": ["←", "your image is the original", true],
  };
  return directions[match.direction] || ["–", "direction unclear", false];
}

function certainty(match, threshold) {
  const element = make("div"), meter = make("div", "meter"), fill = make("i"), mark = make("u");
  fill.style.width = 100 * match.probability + "%";
  mark.style.left = 100 * threshold + "%";
  meter.append(fill, mark);
  const words = match.accepted
    ? "a copy, above the threshold"
    : `below the threshold of ${(100 * threshold).toFixed(1)} %`;
  element.append(
    make("div", "big", (100 * match.probability).toFixed(1) + " %"),
    meter,
    make("div", "verdict " + (match.accepted ? "yes" : "no"), words));
  return element;
}

function facts(match) {
  const list = make("dl");
  const row = (name, value) => {
    if (value) list.append(make("dt", "", name), make("dd", "", value));
  };
  row("probable edits", match.edits.join(", "));
  row("shared", match.reason.replaceAll("the query", "your image"));
  row("direction", match.why);
  row("score", `${number(match.score)} (cosine ${number(match.cosine)}, whole images)`);
  row("log-norms",
    `${number(match.reference_log_norm)} reference, ${number(match.query_log_norm)} your image`);
  return list;
}

async function card(match, mine, name, threshold) {
  const element = make("article", "match"), reference = match.reference;
  const source = keep(await picture(reference.id));
  const size = `reference, ${reference.width} × ${reference.height}`;
  const [sign, words, isArrow] = directionOf(match);
  const direction = make("div", isArrow ? "sign arrow" : "sign");
  direction.append(make("span", "", sign), make("small", "", words));
  const numbers = make("div", "numbers");
  numbers.append(certainty(match, threshold), facts(match));
  element.append(
    side(framed(source, "reference " + reference.label, match.reference_outline), nameOf(reference), size),
    direction,
    side(framed(mine, "your image", match.query_outline), name, "your image"),
    numbers);
  return element;
}

function noMatch(mine, name, references) {
  const element = make("article", "match none-found");
  const words = make("p", "soft", references
    ? `Neither a copy nor an original of it is among ${plural(references, "reference", "references")}.`
    : "There are no references yet; add some.");
  element.append(side(framed(mine, "your image", []), name, "your image"), words);
  return element;
}

async function search(file) {
  const turn = ++searches; // an answer that comes after that of a later search is not shown
  say(`Searching for ${file.name}…`);
  $("results").replaceChildren();
  urls.forEach(url => URL.revokeObjectURL(url));
  urls = [];
  const mine = keep(file);
  try {
    const answer = await (await send(`/v1/search?min_probability=${$("least").value}`, file)).json();
    if (turn !== searches) return;
    const matches = answer.matches.filter(match => !removals.has(match.reference.id));
    const cards = await Promise.all(matches.map(match => card(match, mine, file.name, answer.threshold)));
    if (!cards.length) cards.push(noMatch(mine, file.name, answer.references));
    if (turn !== searches) return;
    $("results").replaceChildren(...cards);
    const accepted = matches.filter(match => match.accepted).length;
    const among = `among ${plural(answer.references, "reference", "references")}`;
    say(matches.length
      ? `${plural(matches.length, "match", "matches")} ${among}, ${accepted} above the threshold.`
      : `No match ${among}.`);
    list(true);
  } catch (error) {
    if (turn === searches) say(`${file.name}: ${error.message}`, true);
  }
}

async function add(files) {
  let added = 0, known = 0;
  const failed = [];
  for (const file of files) {
    say(`Adding ${added + known + failed.length + 1} of ${files.length}…`);
    try {
      const answer = await send(`/v1/references?label=${encodeURIComponent(file.name)}`, file);
      const reply = await answer.json();
      if (reply.new) added++;
      else known++;
    } catch (error) {
      failed.push(`${file.name}: ${error.message}`);
    }
  }
  const words = [`${added} added`];
  if (known) words.push(`${known} known already`);
  const left = failed.length ? ` Left out: ${failed.slice(0, 5).join("; ")}` : "";
  say(`${words.join(", ")}.${left}`, failed.length > 0);
  list(true);
}

// The row goes at once, the reference after some seconds in which the removal can be undone.
function remove(reference) {
  const id = reference.id;
  const finish = async () => {
    removals.delete(id);
    try {
      await ask(`/v1/references/${id}`, {method: "DELETE", keepalive: true});
    } catch (error) {
      say(error.message, true);
    }
    list(true);
  };
  removals.set(id, {timer: setTimeout(finish, 1000 * UNDO_SECONDS), finish});
  say(`${nameOf(reference)} removed.`, false, () => {
    clearTimeout(removals.get(id)?.timer);
    removals.delete(id);
    say(`${nameOf(reference)} is kept.`);
    list(true);
  });
  list(true);
}

function listRow(reference) {
  const row = make("tr"), shot = make("td"), img = make("img"), last = make("td");
  const button = make("button", "", "Remove");
  img.alt = "";
  img.addEventListener("load", () => URL.revokeObjectURL(img.src));
  picture(reference.id).then(blob => { img.src = URL.createObjectURL(blob); }).catch(() => {});
  shot.append(img);
  button.type = "button";
  button.setAttribute("aria-label", `Remove ${nameOf(reference)}`);
  button.addEventListener("click", () => remove(reference));
  last.append(button);
  const size = `${reference.width} × ${reference.height}`;
  row.append(shot, make("td", "", nameOf(reference)), make("td", "", size), last);
  return row;
}

async function list(again) {
  if (again) {
    offset = 0;
    round++;
  }
  const mine = round, label = $("filter").value.trim();
  try {
    const filter = label ? `&label=${encodeURIComponent(label)}` : "";
    const answer = await ask(`/v1/references?offset=${offset}&limit=${PAGE}${filter}`);
    const page = await answer.json();
    if (mine !== round) return;
    if (again) $("list").replaceChildren();
    if (!label) $("total").textContent = plural(page.total - removals.size, "reference", "references");
    offset += page.references.length;
    $("more").hidden = offset >= page.total;
    const shown = page.references.filter(reference => !removals.has(reference.id));
    $("list").append(...shown.map(listRow));
    $("none").hidden = offset > 0;
    $("none").textContent = label ? "No reference has such a name." : "There are no references yet.";
  } catch (error) {
    say(error.message, true);
  }
}

function take(files) {
  const images = [...files];
  if (images.length === 1) search(images[0]);
  else if (images.length) add(images);
}

$("choose").addEventListener("click", () => $("file").click());
$("choose-add").addEventListener("click", () => $("files").click());
$("file").addEventListener("change", event => {
  if (event.target.files.length) search(event.target.files[0]);
  event.target.value = "";
});
$("files").addEventListener("change", event => {
  const files = [...event.target.files];
  event.target.value = "";
  if (files.length) add(files);
});
for (const kind of ["dragover", "dragleave", "drop"]) {
  document.addEventListener(kind, event => {
    event.preventDefault();
    $("drop").classList.toggle("over", kind === "dragover");
    if (kind === "drop") take(event.dataTransfer.files);
  });
}
document.addEventListener("paste", event => take(event.clipboardData.files));
window.addEventListener("pagehide", () => {
  for (const {timer, finish} of [...removals.values()]) {
    clearTimeout(timer);
    finish();
  }
});
$("filter").addEventListener("input", () => list(true));
$("more").addEventListener("click", () => list(false));
$("token-save").addEventListener("click", () => {
  sessionStorage.setItem("asl-token", $("token").value);
  $("token-row").hidden = true;
  say("");
  list(true);
});
$("token").addEventListener("keydown", event => { if (event.key === "Enter") $("token-save").click(); });
list(true);
