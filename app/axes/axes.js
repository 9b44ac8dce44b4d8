// The block of images × channels × positions as unit cubes, seen from a side that can be turned.

const SIZE = { n: 4, c: 3, s: 6 }; // images, channels, positions (H·W laid out in a row)
const BATCH = 2;
const VIEW = [450, 270];
const UNIT = 33;
const START = { yaw: -0.62, pitch: 0.42 };
const NAME = 12.5; // px on screen
const watching = new WeakMap(); // parentElement → what follows the block's width
const turned = new WeakMap(); // parentElement → { yaw, pitch }

export default function ({ data, parentElement }) {
  const root = parentElement.querySelector(".axes");
  const angle = turned.get(parentElement) ?? { ...START };
  turned.set(parentElement, angle);
  root.style.setProperty("--colour", data.colour);
  const svg = make("svg", { viewBox: `0 0 ${VIEW[0]} ${VIEW[1]}`, tabindex: 0, role: "img" });
  svg.setAttribute("aria-label", `${data.words} Turn the block with the arrow keys.`);
  const draw = () => svg.replaceChildren(...faces(data, angle), ...names(angle));
  const turn = (yaw, pitch) => {
    angle.yaw = Math.max(-1.4, Math.min(1.4, angle.yaw + yaw));
    angle.pitch = Math.max(0.05, Math.min(1.3, angle.pitch + pitch));
    draw();
  };
  svg.onpointerdown = (event) => svg.setPointerCapture(event.pointerId);
  svg.onpointermove = (event) => {
    if (event.buttons) turn(event.movementX * 0.01, event.movementY * 0.01);
  };
  svg.onkeydown = (event) => {
    const step = { ArrowLeft: [-0.12, 0], ArrowRight: [0.12, 0], ArrowUp: [0, -0.1], ArrowDown: [0, 0.1] };
    if (!step[event.key]) return;
    turn(...step[event.key]);
    event.preventDefault();
  };
  draw();
  // Names keep their size on screen, however narrow the block is drawn.
  const sized = () => {
    const scale = VIEW[0] / (svg.clientWidth || VIEW[0]);
    svg.style.setProperty("--name-size", `${(NAME * scale).toFixed(1)}px`);
  };
  watching.get(parentElement)?.disconnect();
  const watch = new ResizeObserver(sized);
  watching.set(parentElement, watch);
  watch.observe(svg);
  const words = document.createElement("p");
  words.textContent = data.words;
  root.replaceChildren(svg, words);
}

// Whether the cube at (n, c, s) shares its numbers with the one in front.
function shares({ reduces, batch }, n, c, s) {
  const has = (axis) => reduces.includes(axis);
  const own = { n: 0, c: SIZE.c - 1, s: 2 };
  const inImages = has("N") ? !batch || n < BATCH : n === own.n;
  const inChannels = has("C") || (has("c") && c >= 1) || c === own.c;
  const inPositions = has("H") || (has("h") && Math.abs(s - own.s) <= 1) || s === own.s;
  return inImages && inChannels && inPositions;
}

// x: positions to the right, y: channels upwards, z: images away from the eye.
function project({ yaw, pitch }, x, y, z) {
  const [a, b, c] = [x - SIZE.s / 2, y - SIZE.c / 2, z - SIZE.n / 2];
  const across = a * Math.cos(yaw) + c * Math.sin(yaw);
  const away = -a * Math.sin(yaw) + c * Math.cos(yaw);
  return {
    x: VIEW[0] / 2 - 16 + UNIT * across,
    y: VIEW[1] / 2 - UNIT * (b * Math.cos(pitch) + away * Math.sin(pitch)),
    depth: away * Math.cos(pitch) - b * Math.sin(pitch),
  };
}

function faces(data, angle) {
  const found = [];
  // Seen from above; of the four walls, the front and the one that the turn brings forward.
  const side = angle.yaw < 0 ? 0 : 1;
  const sides = {
    front: [[0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 0]],
    side: [[side, 0, 0], [side, 0, 1], [side, 1, 1], [side, 1, 0]],
    top: [[0, 1, 0], [1, 1, 0], [1, 1, 1], [0, 1, 1]],
  };
  for (let n = 0; n < SIZE.n; n++)
    for (let c = 0; c < SIZE.c; c++)
      for (let s = 0; s < SIZE.s; s++) {
        const kind = shares(data, n, c, s) ? "shared" : "other";
        // A little air, so that cubes stand apart.
        const at = ([x, y, z]) => project(angle, s + 0.04 + 0.92 * x, c + 0.04 + 0.92 * y, n + 0.04 + 0.92 * z);
        const depth = project(angle, s + 0.5, c + 0.5, n + 0.5).depth;
        for (const [name, corners] of Object.entries(sides)) {
          const points = corners.map(at).map((p) => `${p.x.toFixed(1)},${p.y.toFixed(1)}`);
          found.push([depth, make("polygon", { class: `${kind} ${name}`, points: points.join(" ") })]);
        }
      }
  return found.sort((a, b) => b[0] - a[0]).map(([, polygon]) => polygon);
}

function names(angle) {
  // The far end of the images is seen at the left when the block is turned to the left.
  const left = angle.yaw < 0;
  const places = [
    ["positions (H·W)", [SIZE.s / 2, -0.7, 0], "middle"],
    ["channels (C)", [left ? SIZE.s + 0.25 : -0.25, SIZE.c / 2, 0], left ? "start" : "end"],
    ["images (N)", [left ? -0.2 : SIZE.s + 0.2, -0.4, SIZE.n / 2], left ? "end" : "start"],
  ];
  return places.map(([text, point, anchor]) => {
    const { x, y } = project(angle, ...point);
    const label = make("text", { x: x.toFixed(1), y: y.toFixed(1), "text-anchor": anchor });
    label.textContent = text;
    return label;
  });
}

function make(name, attributes) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  return made;
}
