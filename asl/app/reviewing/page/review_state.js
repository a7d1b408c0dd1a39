"use strict";
// State of a review and its requests; nothing here draws.
const $ = id => document.getElementById(id);
let review = null; // what /review answers
let answers = 0; // taken so far
let decisions = {}; // number of a file -> [keep, by]

const plural = (count, one, many) => `${count} ${count === 1 ? one : many}`;
const percent = p => p >= 0.9995 ? "100 %" : (100 * p).toFixed(1) + " %";
const bytes = n => n >= 1e9 ? (n / 1e9).toFixed(2) + " GB"
  : n >= 1e6 ? (n / 1e6).toFixed(1) + " MB" : Math.ceil(n / 1e3) + " kB";
const measures = file => `${file.size[0]} × ${file.size[1]}, ${bytes(file.size[2])}`;
const baseName = path => path.slice(path.lastIndexOf("/") + 1);
const folderOf = file => file.name.includes("/") ? file.name.slice(0, file.name.lastIndexOf("/")) : "";

// The token comes once, behind the # of the printed address, and stays in this tab.
if (location.hash.length > 1) {
  sessionStorage.setItem("asl-review-token", decodeURIComponent(location.hash.slice(1)));
  history.replaceState(null, "", location.pathname);
}

async function ask(path, body) {
  const token = sessionStorage.getItem("asl-review-token") || "";
  const headers = {Authorization: `Bearer ${token}`};
  const options = {headers};
  if (body !== undefined) {
    options.method = "POST";
    options.body = JSON.stringify(body);
    headers["Content-Type"] = "application/json";
  }
  let answer;
  try {
    answer = await fetch(path, options);
  } catch (error) {
    throw new Error("The review has ended; start `asl review` again.");
  }
  if (answer.status === 401) $("token-row").hidden = false;
  if (!answer.ok) throw new Error((await answer.json().catch(() => ({error: answer.statusText}))).error);
  return answer;
}

const askJson = async (path, body) => (await ask(path, body)).json();
const askPicture = async path => URL.createObjectURL(await (await ask(path)).blob());

function take(answer) {
  answers++;
  if (answer.groups) review = answer;
  else Object.assign(review, answer);
  decisions = review.decisions;
}

// Members of a group: [file, parent, pair, clear, probability]; the root comes first.
const memberOf = ([file, parent, pair, clear, probability]) => ({file, parent, pair, clear, probability});
const membersOf = group => group.members.map(memberOf).filter(m => !review.files[m.file].gone);
const keeps = number => decisions[number]?.[0] ?? null;

function directionOf(member) {
  if (member.parent === null) return "root";
  if (member.pair === null) return "same";
  if (member.clear) return "clear";
  const pair = review.pairs[member.pair];
  return pair.clear && review.files[pair.original].image === review.files[member.file].image
    ? "reverse" : "unclear";
}

function editsOf(member) {
  if (member.pair !== null) return review.pairs[member.pair].edits;
  return member.parent === null ? [] : ["exact copy"];
}

// Kinds of the edits in one word each, to filter by: "cropped" for "cropped to 61 %".
function kindsOf(member) {
  if (member.pair !== null) return review.pairs[member.pair].kinds;
  return member.parent === null ? [] : ["identical"];
}

function totals() {
  const grouped = new Set(review.groups.flatMap(group => membersOf(group).map(m => m.file)));
  const count = {remove: 0, keep: 0, open: 0, space: 0};
  for (const number of grouped) {
    const keep = keeps(number);
    if (keep === null) count.open++;
    else if (keep) count.keep++;
    else {
      count.remove++;
      count.space += review.files[number].size[2];
    }
  }
  return count;
}
