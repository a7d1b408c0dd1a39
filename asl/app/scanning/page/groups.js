// Star groups of matching pairs, as in groups.py: every member matches the original of its group
// directly. A pair has the fields original, copy, p (probability) and clear (direction).
const SURER_ODDS = 4, MOST_PROBABILITY = 0.999;

// Pairs of a component that no star covers yet, counted per image. Weights are integers, in
// millionths, so that sums can be undone exactly; the centre with the smallest rank comes first.
class Spokes {
  constructor(pairs, rows) {
    this.pairs = pairs;
    this.counts = new Map();
    this.heap = [];
    for (const row of rows) {
      const {original, copy} = pairs[row];
      for (const node of [original, copy]) {
        if (!this.counts.has(node)) {
          this.counts.set(node, {copied: 0, degree: 0, weight: 0, near: new Map()});
        }
      }
      for (const [node, other] of [[original, copy], [copy, original]]) {
        const near = this.counts.get(node).near;
        if (!near.has(other)) near.set(other, []);
        near.get(other).push(row);
      }
      this.count(row, 1);
    }
    for (const node of this.counts.keys()) this.push(this.rank(node));
  }

  count(row, sign) {
    const pair = this.pairs[row];
    if (pair.clear) this.counts.get(pair.copy).copied += sign;
    for (const node of [pair.original, pair.copy]) {
      const counts = this.counts.get(node);
      counts.degree += sign;
      counts.weight += sign * Math.round(pair.p * 1e6);
    }
  }

  rank(node) {
    const counts = this.counts.get(node);
    return [counts.copied > 0 ? 1 : 0, -counts.degree, -counts.weight, node];
  }

  less(a, b) {
    for (let place = 0; place < 4; place++) if (a[place] !== b[place]) return a[place] < b[place];
    return false;
  }

  push(rank) {
    const heap = this.heap;
    let at = heap.push(rank) - 1;
    while (at) {
      const up = (at - 1) >> 1;
      if (!this.less(rank, heap[up])) break;
      heap[at] = heap[up];
      at = up;
    }
    heap[at] = rank;
  }

  pop() {
    const heap = this.heap, top = heap[0], last = heap.pop();
    if (!heap.length) return top;
    let at = 0;
    for (let down = 1; down < heap.length; down = 2 * at + 1) {
      if (down + 1 < heap.length && this.less(heap[down + 1], heap[down])) down++;
      if (!this.less(heap[down], last)) break;
      heap[at] = heap[down];
      at = down;
    }
    heap[at] = last;
    return top;
  }

  // Centre of the next star; null if every pair is covered. Outdated entries are skipped.
  centre() {
    while (this.heap.length) {
      const rank = this.pop(), current = this.rank(rank[3]);
      if (rank[1] && !this.less(rank, current) && !this.less(current, rank)) return rank[3];
    }
    return null;
  }

  of(centre) {
    const near = [...this.counts.get(centre).near];
    const spokes = near.flatMap(([other, rows]) => rows.map(row => [other, row]));
    return spokes.sort((a, b) => this.pairs[b[1]].p - this.pairs[a[1]].p || a[0] - b[0] || a[1] - b[1]);
  }

  // Removes the pairs inside a star; those much surer than its spokes remain.
  cover(centre, spokes) {
    const surest = new Map([[centre, 1]]);
    for (const [node, row] of [...spokes].reverse()) surest.set(node, this.pairs[row].p);
    const members = new Set(surest.keys());
    for (const node of members) {
      const near = this.counts.get(node).near;
      const inside = near.size < members.size
        ? [...near.keys()].filter(other => members.has(other))
        : [...members].filter(other => near.has(other));
      for (const other of inside) {
        if (near.get(other).some(row => this.standsApart(row, surest))) continue;
        for (const row of near.get(other)) this.count(row, -1);
        near.delete(other);
        this.counts.get(other).near.delete(node);
      }
    }
    for (const node of members) this.push(this.rank(node));
  }

  standsApart(row, surest) {
    const pair = this.pairs[row];
    let joined = surest.get(pair.copy);
    if (!pair.clear) joined = Math.max(joined, surest.get(pair.original));
    const p = Math.min(pair.p, MOST_PROBABILITY);
    return p * (1 - joined) > SURER_ODDS * joined * (1 - p);
  }
}

function components(pairs, rows) {
  const parent = new Map();
  const root = node => {
    if (!parent.has(node)) parent.set(node, node);
    while (parent.get(node) !== node) {
      parent.set(node, parent.get(parent.get(node)));
      node = parent.get(node);
    }
    return node;
  };
  for (const row of rows) parent.set(root(pairs[row].original), root(pairs[row].copy));
  const found = new Map();
  for (const row of rows) {
    const key = root(pairs[row].original);
    if (!found.has(key)) found.set(key, []);
    found.get(key).push(row);
  }
  return found.values();
}

// Groups {original, copies: [[image, row], ...]}, larger and surer ones first.
function starGroups(pairs, rows) {
  const stars = [];
  for (const component of components(pairs, rows)) {
    const uncovered = new Spokes(pairs, component);
    for (let centre; (centre = uncovered.centre()) !== null;) {
      const copies = uncovered.of(centre);
      uncovered.cover(centre, copies);
      stars.push({original: centre, copies});
    }
  }
  const surest = group => Math.max(...group.copies.map(([, row]) => pairs[row].p));
  return stars.sort((a, b) =>
    b.copies.length - a.copies.length || surest(b) - surest(a) || a.original - b.original);
}
