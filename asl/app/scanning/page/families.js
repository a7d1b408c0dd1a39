// Families of matching pairs, as in family_trees.py and arborescence.py: every member stands under
// the picture that it was most probably made from. A pair has the fields original, copy, p
// (probability), clear (direction), weight, back (that the original was made from the copy), moment.
const ROOT_WEIGHT = -1e9, SURER_ODDS = 4, MOST_PROBABILITY = 0.999;

// Leftist heap of edges {start, end, weight, row}, the best on top; `added` waits for its subtree.
const rankOf = heap => heap ? heap.rank : 0;

function pushDown(heap) {
  heap.weight += heap.added;
  for (const child of [heap.left, heap.right]) if (child) child.added += heap.added;
  heap.added = 0;
}

function meld(first, second) {
  if (!first || !second) return first || second;
  pushDown(first);
  pushDown(second);
  if (second.weight > first.weight || second.weight === first.weight && second.place < first.place) {
    [first, second] = [second, first];
  }
  first.right = meld(first.right, second);
  if (rankOf(first.left) < rankOf(first.right)) [first.left, first.right] = [first.right, first.left];
  first.rank = rankOf(first.right) + 1;
  return first;
}

// For every node 0 .. count - 1 the row of its incoming edge; null for a root.
function maximumArborescence(count, edges) {
  const heaps = Array(count + 1).fill(null), entering = [], circleOf = [];
  const top = Array.from({length: count + 1}, (_, node) => node);
  const find = node => {
    while (top[node] !== node) node = top[node] = top[top[node]];
    return node;
  };
  const all = [...edges];
  for (let node = 0; node < count; node++) {
    all.push({start: count, end: node, weight: ROOT_WEIGHT, row: null});
  }
  all.forEach((edge, place) => {
    const heap = {edge, place, weight: edge.weight, added: 0, rank: 1, left: null, right: null};
    heaps[edge.end] = meld(heaps[edge.end], heap);
  });
  const enter = node => {
    let heap, start;
    do {
      heap = heaps[node];
      pushDown(heap);
      heaps[node] = meld(heap.left, heap.right);
      start = find(heap.edge.start);
    } while (start === node);
    entering[node] = heap.edge;
    if (heaps[node]) heaps[node].added -= heap.weight;
    return start;
  };
  const contract = circle => {
    const node = top.length;
    top.push(node);
    heaps.push(circle.reduce((heap, member) => meld(heap, heaps[member]), null));
    for (const member of circle) top[member] = circleOf[member] = node;
    return node;
  };
  const finished = new Set([count]);
  for (let first = 0; first < count; first++) {
    const path = [], onPath = new Set();
    let current = find(first);
    while (!finished.has(current)) {
      path.push(current);
      onPath.add(current);
      let start = enter(current);
      if (onPath.has(start)) {
        const circle = [path.pop()];
        while (circle[circle.length - 1] !== start) circle.push(path.pop());
        for (const node of circle) {
          onPath.delete(node);
          finished.add(node);
        }
        start = contract(circle);
      }
      current = start;
    }
    for (const node of path) finished.add(node);
  }
  for (let circle = top.length - 1; circle > count; circle--) {
    const edge = entering[circle];
    let node = edge.end;
    while (circleOf[node] !== circle) node = circleOf[node];
    entering[node] = edge;
  }
  return Array.from({length: count}, (_, node) => entering[node].row);
}

class Joined {
  constructor() {
    this.parent = new Map();
  }

  root(node) {
    if (!this.parent.has(node)) this.parent.set(node, node);
    while (this.parent.get(node) !== node) {
      this.parent.set(node, this.parent.get(this.parent.get(node)));
      node = this.parent.get(node);
    }
    return node;
  }

  join(first, second) {
    this.parent.set(this.root(first), this.root(second));
  }
}

function oddsExceed(probability, other) {
  const p = Math.min(probability, MOST_PROBABILITY);
  return p * (1 - other) > SURER_ODDS * other * (1 - p);
}

// Rows that no chain of lines of a comparable probability joins, surest first.
function standApart(pairs, rows, lines) {
  const joined = new Joined(), apart = [];
  const sorted = [...rows].sort((a, b) => pairs[b].p - pairs[a].p || a - b);
  const waiting = sorted.filter(row => lines.has(row));
  let next = 0;
  for (const row of sorted) {
    const pair = pairs[row];
    while (next < waiting.length && !oddsExceed(pair.p, pairs[waiting[next]].p)) {
      joined.join(pairs[waiting[next]].original, pairs[waiting[next]].copy);
      next++;
    }
    if (!lines.has(row) && joined.root(pair.original) !== joined.root(pair.copy)) apart.push(row);
  }
  return apart;
}

const surestOf = (pairs, family) =>
  Math.max(...family.members.map(m => m.row === null ? -1 : pairs[m.row].p), family.members[1] ? 0 : 1);
const familyOrder = pairs => (a, b) => b.members.length - a.members.length
  || surestOf(pairs, b) - surestOf(pairs, a) || a.members[0].image - b.members[0].image;
const append = (map, key, value) => map.has(key) ? map.get(key).push(value) : map.set(key, [value]);

// Trees {kind, members: [{image, parent, row, depth}], beside: [row]} of the pairs of some rows.
function copyFamilies(pairs, all) {
  const rows = all.filter(row => !pairs[row].moment);
  const images = [...new Set(rows.flatMap(row => [pairs[row].original, pairs[row].copy]))];
  images.sort((a, b) => a - b);
  const place = new Map(images.map((image, number) => [image, number])), edges = [];
  for (const row of rows) {
    const pair = pairs[row], original = place.get(pair.original), copy = place.get(pair.copy);
    edges.push({start: original, end: copy, weight: pair.weight, row});
    if (!pair.clear) edges.push({start: copy, end: original, weight: pair.back, row});
  }
  const chosen = maximumArborescence(images.length, edges), children = new Map();
  chosen.forEach((row, number) => {
    if (row === null) return;
    const pair = pairs[row], image = images[number];
    append(children, pair.copy === image ? pair.original : pair.copy, {image, row});
  });
  const families = [], familyOf = new Map();
  images.forEach((first, number) => {
    if (chosen[number] !== null) return;
    const members = [], waiting = [{image: first, parent: null, row: null, depth: 0}];
    while (waiting.length) {
      const member = waiting.pop();
      members.push(member);
      familyOf.set(member.image, families.length);
      const below = children.get(member.image) || [];
      below.sort((a, b) => pairs[a.row].p - pairs[b.row].p || b.image - a.image);
      for (const {image, row} of below) {
        waiting.push({image, parent: member.image, row, depth: member.depth + 1});
      }
    }
    families.push({kind: "copies", members, beside: []});
  });
  const lines = new Set(chosen.filter(row => row !== null));
  for (const row of standApart(pairs, rows, lines)) {
    families[familyOf.get(pairs[row].copy)].beside.push(row);
  }
  return families.sort(familyOrder(pairs));
}

// Shots of one moment, the sharpest first; sharpness: image -> number; copies: images that stand
// under another one.
function momentFamilies(pairs, all, sharpness, copies) {
  const near = new Map(), families = [], placed = new Set();
  const isShot = row => !copies.has(pairs[row].original) && !copies.has(pairs[row].copy);
  for (const row of all.filter(row => pairs[row].moment && isShot(row))) {
    append(near, pairs[row].original, [pairs[row].copy, row]);
    append(near, pairs[row].copy, [pairs[row].original, row]);
  }
  const images = [...near.keys()].sort((a, b) => sharpness(b) - sharpness(a) || a - b);
  for (const first of images) {
    if (placed.has(first)) continue;
    placed.add(first);
    let level = [{image: first, parent: null, row: null, depth: 0}];
    const members = [...level];
    while (level.length) {
      const best = new Map();
      for (const member of level) {
        for (const [image, row] of near.get(member.image)) {
          if (!placed.has(image) && !(best.has(image) && pairs[best.get(image).row].p >= pairs[row].p)) {
            best.set(image, {image, parent: member.image, row, depth: member.depth + 1});
          }
        }
      }
      level = [...best.values()].sort((a, b) => pairs[b.row].p - pairs[a.row].p || a.image - b.image);
      for (const member of level) placed.add(member.image);
      members.push(...level);
    }
    families.push({kind: "same moment", members, beside: []});
  }
  return families.sort(familyOrder(pairs));
}

// The library's matches of every new picture, surest first.
function libraryFamilies(pairs, all, isNew, inLibrary) {
  const matches = new Map();
  for (const row of all) {
    const {original, copy} = pairs[row];
    for (const [first, other] of [[original, copy], [copy, original]]) {
      if (isNew(first) && inLibrary(other)) append(matches, first, [other, row]);
    }
  }
  const families = [...matches].map(([first, listed]) => {
    listed.sort((a, b) => pairs[b[1]].p - pairs[a[1]].p || a[0] - b[0] || a[1] - b[1]);
    const below = listed.map(([image, row]) => ({image, parent: first, row, depth: 1}));
    const members = [{image: first, parent: null, row: null, depth: 0}, ...below];
    return {kind: "library matches", members, beside: []};
  });
  return families.sort(familyOrder(pairs));
}
