// A pair at full size: side by side, blinking, laid over each other, or as their difference.
// Both pictures are moved together: `centre` is a point of the original, in its pixels.
const MOST_ZOOM = 24, BLINK_MS = 650;
const view = {mode: "side", zoom: 1, centre: null, pair: null, blink: 0, flipped: false};
const pictures = new Map(); // number of a file -> promise of its address

function multiply(a, b) {
  const product = new Array(9);
  for (let row = 0; row < 3; row++) {
    for (let column = 0; column < 3; column++) {
      product[3 * row + column] = a[3 * row] * b[column] + a[3 * row + 1] * b[3 + column]
        + a[3 * row + 2] * b[6 + column];
    }
  }
  return product;
}

function inverse([a, b, c, d, e, f, g, h, i]) {
  const A = e * i - f * h, B = f * g - d * i, C = d * h - e * g, size = a * A + b * B + c * C;
  return [A, c * h - b * i, b * f - c * e, B, a * i - c * g, c * d - a * f, C, b * g - a * h, a * e - b * d]
    .map(value => value / size);
}

function mapped(m, x, y) {
  const scale = m[6] * x + m[7] * y + m[8];
  return [(m[0] * x + m[1] * y + m[2]) / scale, (m[3] * x + m[4] * y + m[5]) / scale];
}

const cssMatrix = m =>
  `matrix3d(${[m[0], m[3], 0, m[6], m[1], m[4], 0, m[7], 0, 0, 1, 0, m[2], m[5], 0, m[8]].join()})`;

function pictureOf(number) {
  if (!pictures.has(number)) {
    if (pictures.size >= 12) {
      const [oldest, address] = pictures.entries().next().value;
      pictures.delete(oldest);
      address.then(URL.revokeObjectURL, () => {});
    }
    pictures.set(number, askPicture(`/picture/${number}`));
  }
  return pictures.get(number);
}

async function show(image, number) {
  image.hidden = true;
  image.alt = review.files[number].name;
  try {
    image.src = await pictureOf(number);
    await image.decode();
  } catch (error) {
    image.alt = `${review.files[number].name}: ${error.message}`;
  }
  image.hidden = false;
}

// From pixels of the copy to pixels of the original.
function copyToOriginal() {
  const {onto} = view.pair, one = $("one"), two = $("two");
  const grow = [one.naturalWidth, 0, 0, 0, one.naturalHeight, 0, 0, 0, 1];
  const shrink = [1 / two.naturalWidth, 0, 0, 0, 1 / two.naturalHeight, 0, 0, 0, 1];
  return multiply(grow, multiply(onto, shrink));
}

function place(pane, image, centre) {
  const box = pane.getBoundingClientRect();
  const fit = Math.min(box.width / image.naturalWidth, box.height / image.naturalHeight);
  const scale = fit * view.zoom;
  return [scale, 0, box.width / 2 - scale * centre[0], 0, scale, box.height / 2 - scale * centre[1], 0, 0, 1];
}

function layOut() {
  const one = $("one"), two = $("two"), over = $("over"), side = view.mode === "side";
  if (!one.naturalWidth || !two.naturalWidth) return;
  const middle = [one.naturalWidth / 2, one.naturalHeight / 2];
  if (!view.centre || view.zoom <= 1) view.centre = middle;
  const onto = copyToOriginal(), first = place($("pane-one"), one, view.centre);
  one.style.transform = cssMatrix(first);
  one.style.clipPath = "none";
  if (side) {
    const centre = view.zoom <= 1
      ? [two.naturalWidth / 2, two.naturalHeight / 2]
      : mapped(inverse(onto), ...view.centre);
    two.style.transform = cssMatrix(place($("pane-two"), two, centre));
    return;
  }
  over.style.transform = cssMatrix(multiply(first, onto));
  over.style.opacity = {blink: view.flipped ? 1 : 0, overlay: $("mix").value, difference: 1}[view.mode];
  if (view.mode === "difference") {
    const corners = [[0, 0], [two.naturalWidth, 0], [two.naturalWidth, two.naturalHeight], [0, two.naturalHeight]];
    const outline = corners.map(corner => mapped(onto, ...corner).map(value => `${value}px`).join(" "));
    one.style.clipPath = `polygon(${outline.join(", ")})`;
  }
}

function setMode(mode) {
  view.mode = mode;
  view.flipped = false;
  clearInterval(view.blink);
  if (mode === "blink" && !matchMedia("(prefers-reduced-motion: reduce)").matches) {
    view.blink = setInterval(flip, BLINK_MS);
  }
  $("stage").className = `stage ${mode}`;
  $("mix-label").hidden = mode !== "overlay";
  for (const button of document.querySelectorAll("[data-mode]")) {
    button.setAttribute("aria-pressed", String(button.dataset.mode === mode));
  }
  corners();
  layOut();
}

function flip() {
  view.flipped = !view.flipped;
  corners();
  layOut();
}

const wordsOf = pair => pair?.clear ? ["original", "copy"] : ["A", "B"];

function corners() {
  const [first, second] = wordsOf(view.pair);
  const together = {blink: view.flipped ? second : first, overlay: `${first} and ${second}`, difference: "difference"};
  $("corner-one").textContent = together[view.mode] || first;
  $("corner-two").textContent = second;
  $("mix-one").textContent = first;
  $("mix-two").textContent = second;
}

function zoomBy(factor, x, y) {
  const before = view.zoom;
  view.zoom = Math.min(MOST_ZOOM, Math.max(1, view.zoom * factor));
  if (x !== undefined && view.centre && view.zoom !== before) {
    const box = $("pane-one").getBoundingClientRect(), one = $("one");
    const fit = Math.min(box.width / one.naturalWidth, box.height / one.naturalHeight);
    const shift = (1 / before - 1 / view.zoom) / fit;
    view.centre = [view.centre[0] + (x - box.width / 2) * shift, view.centre[1] + (y - box.height / 2) * shift];
  }
  layOut();
}

function pan(x, y) {
  if (view.zoom <= 1) return;
  const box = $("pane-one").getBoundingClientRect(), one = $("one");
  const scale = view.zoom * Math.min(box.width / one.naturalWidth, box.height / one.naturalHeight);
  view.centre = [
    Math.min(one.naturalWidth, Math.max(0, view.centre[0] - x / scale)),
    Math.min(one.naturalHeight, Math.max(0, view.centre[1] - y / scale)),
  ];
  layOut();
}

// `pair` has the files `left` and `right` and the matrix `onto`, right onto left, in shares.
async function showPair(pair) {
  Object.assign(view, {pair, zoom: 1, centre: null});
  const one = show($("one"), pair.left), two = show($("two"), pair.right);
  await Promise.all([one, two]);
  if (view.pair !== pair) return;
  $("over").src = $("two").src;
  $("over").alt = "";
  corners();
  layOut();
}

for (const button of document.querySelectorAll("[data-mode]")) {
  button.addEventListener("click", () => setMode(button.dataset.mode));
}
$("mix").addEventListener("input", layOut);
$("zoom-in").addEventListener("click", () => zoomBy(1.6));
$("zoom-out").addEventListener("click", () => zoomBy(1 / 1.6));
$("zoom-fit").addEventListener("click", () => zoomBy(0));
$("stage").addEventListener("wheel", event => {
  event.preventDefault();
  const box = (event.target.closest(".pane") || $("pane-one")).getBoundingClientRect();
  zoomBy(event.deltaY < 0 ? 1.25 : 0.8, event.clientX - box.left, event.clientY - box.top);
}, {passive: false});
$("stage").addEventListener("pointerdown", event => {
  $("stage").setPointerCapture(event.pointerId);
  view.drag = true;
});
$("stage").addEventListener("pointermove", event => { if (view.drag) pan(event.movementX, event.movementY); });
for (const kind of ["pointerup", "pointercancel"]) {
  $("stage").addEventListener(kind, () => { view.drag = false; });
}
window.addEventListener("resize", () => { if ($("compare").open) layOut(); });
