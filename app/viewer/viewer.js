// The grid of Compare. Its data is either some parts (bytes: of each 32 characters of digest, its
// length in 4 bytes and the content) or the grid itself (numbers that name parts by digest); see
// __init__.py beside this file.

const DIGEST_LENGTH = 32;
const HEAD_LENGTH = DIGEST_LENGTH + 4;
const MOST_ZOOM = 64;
const ZOOM_STEP = 1.5;
const KEPT_SOURCES = 16;
// From this many screen pixels a pixel, pixels are drawn as squares; below, smoothly.
const CRISP_FROM = 2;
const CLICK_SLACK = 4;
// Narrower than this, three numbers do not stand side by side; a phone can swipe instead.
const LEAST_COLUMN = 130;
const LEAST_ON_PHONE = 210;
const PHONE = matchMedia("(max-width: 700px)");
const COLUMN_GAP = 16;
const STATISTICS = ["min", "mean", "std", "max"];
// The channels of an image, and the marks of a result's channels that are none of them.
const OF_THE_IMAGE = ["R", "G", "B", "grey"];
const OTHERS = ["first", "second", "third"];
const KEYBOARD_HELP =
  "Keyboard on a picture: arrow keys move the pixel, Shift + arrows pan, Ctrl + arrows go to the " +
  "next picture, + and − zoom, 0 fits, Escape clears. Mouse: click keeps a pixel, double click or " +
  "Ctrl + wheel zooms, drag pans.";

const views = new Map(); // component key → zoom, centre and kept pixel; outlives every data change
const instances = new WeakMap(); // parentElement → Parts or Grid

const names = (cell) => cell.numbers.map(([channel]) => channel);

// The image's channel that a value was read in, where its column is headed otherwise.
function from(cell, c) {
  const own = cell.numbers.length === 1 ? "grey" : OF_THE_IMAGE[c];
  return cell.numbers[c][0] === own ? "" : `${own} `;
}

export default function ({ data, parentElement, setStateValue, setTriggerValue }) {
  const Kind = data instanceof Uint8Array ? Parts : Grid;
  let instance = instances.get(parentElement);
  if (!(instance instanceof Kind) || !instance.serves(parentElement)) {
    instance?.end();
    instance = new Kind(parentElement, data);
    instances.set(parentElement, instance);
  }
  instance.update(data, () => setStateValue("drawn", true), () => setTriggerValue("themed", true));
  return () => {
    instances.get(parentElement)?.end();
    instances.delete(parentElement);
  };
}

// ---------------------------------------------------------------------------------------- parts

const parts = new Map(); // digest → { bytes, holders }
const awaited = new Map(); // digest → functions to call with its bytes

class Parts {
  constructor() {
    this.held = []; // digests
  }

  serves() {
    return true;
  }

  update(data) {
    const before = this.held;
    this.held = [];
    const lengths = new DataView(data.buffer, data.byteOffset);
    for (let at = 0; at < data.length;) {
      const digest = new TextDecoder().decode(data.subarray(at, at + DIGEST_LENGTH));
      const start = at + HEAD_LENGTH;
      at = start + lengths.getUint32(at + DIGEST_LENGTH, true);
      this.hold(digest, data.subarray(start, at));
    }
    release(before);
  }

  hold(digest, bytes) {
    const known = parts.get(digest) ?? { holders: 0 };
    known.holders += 1;
    // The newest, so that what came before with other parts is let go.
    known.bytes = bytes;
    parts.set(digest, known);
    this.held.push(digest);
    awaited.get(digest)?.forEach((resolve) => resolve(bytes));
    awaited.delete(digest);
  }

  end() {
    release(this.held);
    this.held = [];
  }
}

function release(digests) {
  for (const digest of digests) {
    const known = parts.get(digest);
    if (known && --known.holders === 0) parts.delete(digest);
  }
}

// The values of a panel, copied out of their part once.
async function values16(digest) {
  const bytes = await part(digest);
  const known = parts.get(digest) ?? {};
  return (known.values ??= words(bytes));
}

function part(digest) {
  const known = parts.get(digest);
  if (known) return Promise.resolve(known.bytes);
  return new Promise((resolve) => {
    awaited.set(digest, [...(awaited.get(digest) ?? []), resolve]);
  });
}

// --------------------------------------------------------------------------------------- pixels

const decoded = new Map(); // digest → promise of { levels, stride, count }, least used first

function source(row) {
  let promise = decoded.get(row.source);
  decoded.delete(row.source);
  promise ??= part(row.source).then((bytes) => decode(row, bytes));
  decoded.set(row.source, promise);
  promise.catch(() => decoded.delete(row.source));
  while (decoded.size > KEPT_SOURCES) decoded.delete(decoded.keys().next().value);
  return promise;
}

async function decode(row, bytes) {
  if (row.format === "raw8") return { levels: bytes, stride: row.channels, count: 256 };
  if (row.format === "raw16") return { levels: words(bytes), stride: row.channels, count: 65536 };
  const blob = new Blob([bytes], { type: `image/${row.format}` });
  const bitmap = await createImageBitmap(blob, {
    colorSpaceConversion: "none",
    premultiplyAlpha: "none",
  });
  if (bitmap.width !== row.width || bitmap.height !== row.height) {
    throw new Error(`${bitmap.width} × ${bitmap.height} px instead of ${row.width} × ${row.height}`);
  }
  const canvas = document.createElement("canvas");
  canvas.width = row.width;
  canvas.height = row.height;
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.drawImage(bitmap, 0, 0);
  bitmap.close();
  const { data } = context.getImageData(0, 0, row.width, row.height);
  return { levels: data, stride: 4, count: 256 };
}

// A copy: a part may start at an odd address, where 16-bit views are not allowed.
function words(bytes) {
  return new Uint16Array(bytes.slice().buffer);
}

function lightTable(row) {
  if (!row.levels) return null;
  return Uint8Array.from(atob(row.levels), (letter) => letter.charCodeAt(0));
}

// What each level is shown as: 255 (value − black) / (white − black), clipped, rounded half up, and
// reckoned from the middle as normviz/display.py does, so that the middle is 127.5 exactly.
function shades(panel, channel) {
  const { count, light, row } = panel;
  const [black, white] = panel.cell.window;
  const gain = panel.gain[channel];
  const offset = panel.bias[channel] - (black + white) / 2;
  const slope = 255 / (white - black);
  const table = new Uint8Array(count);
  for (let level = 0; level < count; level++) {
    const seen = light ? light[level * row.channels + channel] : level;
    const scaled = 127.5 + (gain * seen + offset) * slope;
    table[level] = scaled <= 0 ? 0 : scaled >= 255 ? 255 : scaled + 0.5;
  }
  return table;
}

// Pixels by what each level is shown as; decoded ones are read a word at a time. A function for each
// kind of source: one for all is compiled for none of them, and takes half as long again.
function recolour(out, pixels, [red, green, blue]) {
  for (let i = 0; i < out.length; i++) {
    const pixel = pixels[i];
    out[i] = 0xff000000 | red[pixel & 255] | (green[(pixel >>> 8) & 255] << 8)
      | (blue[(pixel >>> 16) & 255] << 16);
  }
}

function colour(out, levels, [red, green, blue]) {
  for (let i = 0, at = 0; i < out.length; i++, at += 3) {
    out[i] = 0xff000000 | red[levels[at]] | (green[levels[at + 1]] << 8)
      | (blue[levels[at + 2]] << 16);
  }
}

function grey(out, levels, stride, [table]) {
  for (let i = 0, at = 0; i < out.length; i++, at += stride) {
    out[i] = 0xff000000 | (table[levels[at]] * 0x10101);
  }
}

let scratch = null; // one picture's pixels, used again: 24 new ones an update would be 17 MB

// The panel at the size of its image, as a canvas.
function paint(panel) {
  const { row, levels, stride, light, gain, bias } = panel;
  const canvas = panel.image ?? document.createElement("canvas");
  if (canvas.width !== row.width || canvas.height !== row.height) {
    canvas.width = row.width;
    canvas.height = row.height;
  }
  if (scratch?.width !== row.width || scratch.height !== row.height) {
    scratch = new ImageData(row.width, row.height);
  }
  const out = new Uint32Array(scratch.data.buffer);
  const tables = [];
  for (let c = 0; c < row.channels; c++) {
    const same = c > 0 && !light && gain[c] === gain[0] && bias[c] === bias[0];
    tables.push(same ? tables[0] : shades(panel, c));
  }
  if (row.channels === 1) grey(out, levels, stride, tables);
  else if (stride === 4) recolour(out, new Uint32Array(levels.buffer), tables);
  else colour(out, levels, tables);
  canvas.getContext("2d").putImageData(scratch, 0, 0);
  return canvas;
}

// --------------------------------------------------------------------------------------- words

function make(tag, name, parent, text) {
  const made = document.createElement(tag);
  if (name) made.className = name;
  if (text !== undefined) made.textContent = text;
  parent?.append(made);
  return made;
}

// Sets only what differs, so that an update of 24 panels touches little; says whether it did.
function say(element, text) {
  if (element.said === text) return false;
  element.said = text;
  element.textContent = text;
  return true;
}

// Rounds exact ties to even, as Python does, and writes a real minus sign; zero has no sign.
function print(value, digits) {
  const size = Math.abs(value);
  let text = size.toFixed(digits);
  const [, rest] = size.toFixed(Math.min(100, digits + 40)).split(".");
  if (size < 1e21 && /^50*$/.test(rest.slice(digits)) && "13579".includes(text.at(-1))) {
    text = (size - 0.25 * 10 ** -digits).toFixed(digits);
  }
  return value < 0 && Number(text) !== 0 ? `−${text}` : text;
}

const clamp = (value, low, high) => Math.min(high, Math.max(low, value));

// ---------------------------------------------------------------------------------------- grid

class Grid {
  constructor(parentElement, data) {
    this.root = parentElement.querySelector(".viewer");
    this.root.classList.add("grid-viewer");
    if (!views.has(data.key)) views.set(data.key, { zoom: 1, x: 0.5, y: 0.5, kept: null });
    this.view = views.get(data.key);
    this.room = Infinity;
    this.turn = 0;
    this.drawn = 0;
    this.hover = null;
    this.focus = { row: 0, column: 0 };
    this.pointers = new Map();
    this.lines = [];
    this.heads = [];
    this.build();
    this.listen();
  }

  serves(parentElement) {
    return parentElement.contains(this.root);
  }

  end() {
    this.turn += 1;
    clearTimeout(this.speaking);
    this.resizes.disconnect();
    this.root.replaceChildren();
    this.root.classList.remove("grid-viewer");
  }

  // ---- new data ----

  async update(message, say, themed) {
    const turn = ++this.turn;
    performance.mark("normviz-message");
    if (!this.message) this.arrange(message);
    const loads = message.rows.map((row, r) => this.load(row, message.cells[r]));
    const loaded = await Promise.all(loads);
    // Newer data came while this was decoded; what it shows stays until then.
    if (turn !== this.turn) return;
    this.arrange(message);
    this.fill(loaded);
    this.place();
    this.drawn += 1;
    this.root.dataset.drawn = String(this.drawn);
    performance.mark("normviz-drawn");
    // Once: the page sends its charts after the first pictures, whose library would hold them up.
    if (this.drawn === 1) say();
    // Streamlit tells components alone of a new theme; the page's charts have the former colours.
    const ink = getComputedStyle(this.root).color;
    if (this.ink && this.ink !== ink) themed();
    this.ink = ink;
  }

  async load(row, cells) {
    const loading = Promise.all(
      cells.map((cell) => (cell.kind === "values" ? values16(cell.values) : null)),
    );
    try {
      return { source: await source(row), values: await loading };
    } catch (error) {
      const format = row.format === "webp" ? "WebP" : row.format.toUpperCase();
      return { error: `This browser could not decode the picture (${format}): ${error.message}` };
    }
  }

  build() {
    const bar = make("div", "bar", this.root);
    this.label = make("span", "label", bar);
    this.label.dataset.testid = "display-label";
    make("span", "hint", bar, "Point at a pixel to read it, click to keep it; double click zooms.");
    const tools = make("div", "tools", bar);
    tools.setAttribute("role", "group");
    tools.setAttribute("aria-label", "Zoom of all pictures");
    tools.title = KEYBOARD_HELP;
    const button = (text, name, act) => {
      const made = make("button", "", tools, text);
      made.type = "button";
      made.setAttribute("aria-label", name);
      made.title = `${name}. ${KEYBOARD_HELP}`;
      made.onclick = act;
      return made;
    };
    this.out = button("−", "Zoom out", () => this.zoom(1 / ZOOM_STEP));
    this.factor = make("output", "", tools);
    this.factor.setAttribute("aria-label", "Zoom factor");
    this.in = button("+", "Zoom in", () => this.zoom(ZOOM_STEP));
    this.fit = button("Fit", "Show whole pictures", () => this.zoom(0));
    this.headsLine = make("div", "line heads", this.root);
    this.body = make("div", "body", this.root);
    this.live = make("div", "live", this.root);
    this.live.setAttribute("role", "status");
  }

  // Makes the elements fit the message's rows, columns and kinds; reserves room by aspect ratio.
  arrange(message) {
    this.message = message;
    const { columns, rows, cells } = message;
    this.root.style.setProperty("--columns", columns.length);
    say(this.label, message.label);
    while (this.heads.length > columns.length) this.heads.pop().head.remove();
    columns.forEach((column, c) => {
      this.heads[c] ??= this.head();
      this.heads[c].head.style.setProperty("--colour", column.colour);
      say(this.heads[c].title, column.title);
      say(this.heads[c].subtitle, column.subtitle);
    });
    while (this.lines.length > rows.length) this.lines.pop().box.remove();
    rows.forEach((row, r) => {
      const line = (this.lines[r] ??= this.line());
      say(line.title, row.title);
      say(line.caption, row.caption);
      // By method, so that a column keeps its picture when another comes or goes beside it.
      const known = new Map(line.panels.map((panel) => [panel.key, panel]));
      line.panels = columns.map((column, c) => {
        const cell = cells[r][c];
        const shape = cell.kind === "message" ? "message" : names(cell).join();
        let panel = known.get(column.key);
        if (panel?.shape === shape) known.delete(column.key);
        else panel = this.panel(column.key, shape, cell);
        panel.place = { row: r, column: c };
        panel.element.dataset.row = row.key;
        panel.element.style.setProperty("--colour", column.colour);
        say(panel.tag, column.title);
        if (panel.canvas) {
          const ratio = clamp(row.width / row.height, 0.5, 4);
          panel.picture.style.aspectRatio = String(ratio);
          // Named before it is filled: a screen reader may come first.
          if (!panel.image) panel.canvas.setAttribute("aria-label", `${row.title}, ${column.title}`);
        }
        return panel;
      });
      known.forEach((panel) => panel.element.remove());
      const order = line.panels.map((panel) => panel.element);
      if (order.some((element, c) => line.cells.children[c] !== element)) {
        line.cells.replaceChildren(...order);
      }
    });
    this.focus.row = clamp(this.focus.row, 0, Math.max(0, rows.length - 1));
    this.focus.column = clamp(this.focus.column, 0, Math.max(0, columns.length - 1));
    this.rove();
  }

  head() {
    const head = make("div", "head", this.headsLine);
    return { head, title: make("b", "", head), subtitle: make("span", "", head) };
  }

  line() {
    const box = make("div", "row", this.body);
    const about = make("div", "about", box);
    const line = { box, panels: [] };
    line.title = make("b", "", about);
    line.caption = make("span", "", about);
    line.pixel = make("span", "pixel-place", about);
    line.cells = make("div", "line", box);
    return line;
  }

  panel(key, shape, cell) {
    const element = make("div", "cell");
    element.dataset.column = key;
    const tag = make("div", "tag", element);
    const panel = { key, shape, element, tag };
    if (shape === "message") {
      panel.text = make("div", "message", element);
      return panel;
    }
    panel.picture = make("div", "picture", element);
    panel.picture.panel = panel;
    panel.canvas = make("canvas", "", panel.picture);
    panel.canvas.setAttribute("role", "img");
    panel.canvas.tabIndex = -1;
    panel.failure = make("div", "failure", panel.picture);
    panel.cross = make("div", "cross", panel.picture);
    this.table(panel, names(cell));
    panel.note = make("div", "note", element);
    return panel;
  }

  table(panel, channels) {
    panel.table = make("table", "", panel.element);
    const head = make("tr", "", make("thead", "", panel.table));
    make("td", "", head);
    channels.forEach((channel, c) => {
      const name = make("th", "", head);
      name.scope = "col";
      make("span", `mark ${OF_THE_IMAGE.includes(channel) ? channel : OTHERS[c]}`, name);
      name.append(channel);
    });
    const line = (body, name) => {
      const made = make("tr", "", body);
      make("th", "", made, name).scope = "row";
      return channels.map((channel) => {
        const number = make("td", "", made);
        number.dataset.channel = channel;
        return number;
      });
    };
    panel.readout = make("tbody", "readout", panel.table);
    panel.readout.dataset.testid = "readout";
    panel.before = line(panel.readout, "before");
    panel.after = line(panel.readout, "after");
    const body = make("tbody", "", panel.table);
    panel.numbers = STATISTICS.map((name) => {
      const numbers = line(body, name);
      numbers.forEach((number) => (number.dataset.stat = name));
      return numbers;
    });
  }

  fill(loaded) {
    const { columns, rows, cells } = this.message;
    this.lines.forEach((line, r) => {
      const row = rows[r];
      const light = lightTable(row);
      line.panels.forEach((panel, c) => {
        const cell = cells[r][c];
        if (panel.text) {
          say(panel.text, cell.text);
          return;
        }
        const { error, values } = loaded[r];
        Object.assign(panel, { row, cell, failed: Boolean(error), source: loaded[r].source });
        say(panel.failure, error ?? "");
        this.write(panel, columns[c]);
        if (error) {
          panel.image = panel.look = null;
          return;
        }
        if (cell.kind === "values") {
          const { low, step } = cell;
          Object.assign(panel, { levels: values[c], stride: row.channels, count: 65536 });
          Object.assign(panel, { gain: Array(3).fill(step), bias: Array(3).fill(low), light: null });
        } else {
          Object.assign(panel, loaded[r].source, { gain: cell.gain, bias: cell.bias, light });
        }
        panel.beforeLight = light;
        const look = JSON.stringify([
          row.source, row.width, row.height, row.levels, cell.values ?? "",
          panel.gain, panel.bias, cell.window,
        ]);
        if (look === panel.look) return;
        panel.image = paint(panel);
        panel.look = look;
        panel.stale = true;
      });
    });
  }

  write(panel, column) {
    const { row, cell } = panel;
    cell.numbers.forEach(([, low, mean, std, high], at) => {
      [low, mean, std, high].forEach((value, which) => {
        const number = panel.numbers[which][at];
        say(number, print(value, cell.digits));
        const full = String(value);
        if (number.dataset.value === full) return;
        number.dataset.value = full;
        number.title = full;
      });
    });
    say(panel.note, cell.note);
    const spoken = cell.numbers.map(
      ([channel, low, mean, std, high]) =>
        `${channel} from ${print(low, cell.digits)} to ${print(high, cell.digits)}, ` +
        `mean ${print(mean, cell.digits)}, std ${print(std, cell.digits)}`,
    );
    const name = `${row.title}, ${column.title}`;
    panel.canvas.setAttribute("aria-label", `${name}: ${spoken.join("; ")}`);
    panel.table.setAttribute("aria-label", `Numbers of ${name}`);
    const unit = row.unit ? `in ${row.unit}` : "";
    panel.readout.rows[0].title = unit;
  }

  // ---- zoom, pan and drawing on screen ----

  each(act) {
    for (const line of this.lines) {
      for (const panel of line.panels) if (panel.canvas && panel.image) act(panel);
    }
  }

  // Where the image lies in its panel: scale in CSS pixels a pixel, left and top edge.
  lay(panel) {
    const { width, height } = panel;
    const scale = this.view.zoom * Math.min(width / panel.image.width, height / panel.image.height);
    const edge = (room, size, centre) =>
      size <= room ? (room - size) / 2 : clamp(room / 2 - centre * size, room - size, 0);
    return {
      scale,
      left: edge(width, panel.image.width * scale, this.view.x),
      top: edge(height, panel.image.height * scale, this.view.y),
    };
  }

  place() {
    const { view } = this;
    const half = 0.5 / view.zoom;
    view.x = clamp(view.x, half, 1 - half);
    view.y = clamp(view.y, half, 1 - half);
    this.root.classList.toggle("zoomed", view.zoom > 1);
    say(this.factor, `${view.zoom.toFixed(view.zoom < 10 ? 1 : 0)}×`);
    this.out.disabled = this.fit.disabled = view.zoom === 1;
    this.in.disabled = view.zoom === MOST_ZOOM;
    const column = PHONE.matches ? LEAST_ON_PHONE : LEAST_COLUMN;
    const least = this.heads.length * (column + COLUMN_GAP) - COLUMN_GAP;
    this.root.classList.toggle("tight", this.room < least);
    // All sizes are read before anything is written, so that the page is laid out once.
    this.each((panel) => {
      panel.width = panel.picture.clientWidth;
      panel.height = panel.picture.clientHeight;
    });
    const ratio = window.devicePixelRatio || 1;
    this.each((panel) => this.draw(panel, ratio));
    this.point();
  }

  draw(panel, ratio) {
    const { canvas, image, width, height } = panel;
    const laid = this.lay(panel);
    const state = [width, height, ratio, laid.scale, laid.left, laid.top].join();
    if (!width || !height || (state === panel.state && !panel.stale)) return;
    panel.state = state;
    panel.stale = false;
    const [wide, high] = [Math.round(width * ratio), Math.round(height * ratio)];
    if (canvas.width !== wide || canvas.height !== high) {
      canvas.width = wide;
      canvas.height = high;
    }
    const context = canvas.getContext("2d");
    const scale = laid.scale * ratio;
    context.clearRect(0, 0, wide, high);
    context.imageSmoothingEnabled = scale < CRISP_FROM;
    context.imageSmoothingQuality = "high";
    // Only the part in view, so that a high zoom costs no more than a low one.
    const x0 = Math.max(0, Math.floor(-laid.left / laid.scale));
    const y0 = Math.max(0, Math.floor(-laid.top / laid.scale));
    const x1 = Math.min(image.width, Math.ceil((width - laid.left) / laid.scale));
    const y1 = Math.min(image.height, Math.ceil((height - laid.top) / laid.scale));
    context.drawImage(
      image, x0, y0, x1 - x0, y1 - y0,
      laid.left * ratio + x0 * scale, laid.top * ratio + y0 * scale,
      (x1 - x0) * scale, (y1 - y0) * scale,
    );
  }

  // Zooms by a factor (0: fits); the given place in the picture, else the kept pixel, stays put.
  zoom(factor, place = this.keptPlace()) {
    const { view } = this;
    const before = view.zoom;
    let after = factor === 0 ? 1 : clamp(before * factor, 1, MOST_ZOOM);
    if (after < 1.02) after = 1;
    if (place) {
      view.x = place.x + (view.x - place.x) * (before / after);
      view.y = place.y + (view.y - place.y) * (before / after);
    }
    view.zoom = after;
    this.place();
  }

  // The kept pixel, inside the image that its row shows now.
  kept() {
    const { kept } = this.view;
    const row = kept && this.message.rows[kept.row];
    if (!row) return null;
    return { ...kept, x: Math.min(kept.x, row.width - 1), y: Math.min(kept.y, row.height - 1) };
  }

  keptPlace() {
    const kept = this.kept();
    if (!kept) return null;
    const { width, height } = this.message.rows[kept.row];
    return { x: (kept.x + 0.5) / width, y: (kept.y + 0.5) / height };
  }

  pan(x, y) {
    this.view.x += x / this.view.zoom;
    this.view.y += y / this.view.zoom;
    this.place();
  }

  // Where in the picture (0 to 1) an event is.
  where(event, panel) {
    const box = panel.picture.getBoundingClientRect();
    const { scale, left, top } = this.lay(panel);
    return {
      x: (event.clientX - box.left - left) / (panel.image.width * scale),
      y: (event.clientY - box.top - top) / (panel.image.height * scale),
    };
  }

  pixelAt(event, panel) {
    const { x, y } = this.where(event, panel);
    if (x < 0 || y < 0 || x >= 1 || y >= 1) return null;
    const { width, height } = panel.image;
    return { row: panel.place.row, x: Math.floor(x * width), y: Math.floor(y * height) };
  }

  // ---- reading a pixel ----

  // [before, after] of each channel of one pixel.
  values(panel, x, y) {
    const { row, cell, source, beforeLight } = panel;
    const at = y * row.width + x;
    const [start, step] = row.before;
    return cell.numbers.map((_, c) => {
      const level = source.levels[at * source.stride + c];
      const lit = beforeLight ? beforeLight[level * row.channels + c] : level;
      const seen = cell.kind === "values" ? panel.levels[at * panel.stride + c] : lit;
      return [start + step * lit, panel.gain[c] * seen + panel.bias[c]];
    });
  }

  // Shows the pixel under the pointer, else the kept one, in every panel of its row.
  point() {
    const chosen = this.hover ?? this.kept();
    this.lines.forEach((line, r) => {
      const row = this.message.rows[r];
      const here = row && chosen?.row === r;
      const x = here ? Math.min(chosen.x, row.width - 1) : 0;
      const y = here ? Math.min(chosen.y, row.height - 1) : 0;
      say(line.pixel, here ? `x ${x}, y ${y}` : "");
      for (const panel of line.panels) {
        if (!panel.canvas || !panel.row) continue;
        if (!here || panel.failed || !panel.image) this.clear(panel);
        else this.read(panel, x, y);
      }
    });
  }

  clear(panel) {
    if (panel.cleared) return;
    panel.cleared = true;
    panel.cross.style.display = "none";
    for (const number of [...panel.before, ...panel.after]) say(number, "·");
    for (const name of ["x", "y", "before", "after"]) delete panel.readout.dataset[name];
  }

  read(panel, x, y) {
    const { row, cell, readout } = panel;
    panel.cleared = false;
    const values = this.values(panel, x, y);
    values.forEach(([before, after], c) => {
      say(panel.before[c], from(cell, c) + print(before, row.before[2]));
      say(panel.after[c], print(after, cell.digits));
    });
    readout.dataset.x = x;
    readout.dataset.y = y;
    readout.dataset.before = values.map(([before]) => before).join(" ");
    readout.dataset.after = values.map(([, after]) => after).join(" ");
    const { scale, left, top } = this.lay(panel);
    const size = Math.max(scale, 9);
    const [px, py] = [left + (x + 0.5) * scale, top + (y + 0.5) * scale];
    panel.cross.style.display = "block";
    panel.cross.style.width = panel.cross.style.height = `${size}px`;
    panel.cross.style.transform = `translate(${px - size / 2}px, ${py - size / 2}px)`;
  }

  keep(pixel) {
    const { kept } = this.view;
    const same = kept && pixel && ["row", "x", "y"].every((name) => kept[name] === pixel[name]);
    this.view.kept = same ? null : pixel;
    this.hover = null;
    this.point();
    this.speak();
  }

  speak() {
    clearTimeout(this.speaking);
    this.speaking = setTimeout(() => {
      const kept = this.kept();
      const panel = kept && this.lines[kept.row]?.panels[this.focus.column];
      if (!panel?.image || panel.failed) {
        say(this.live, "");
        return;
      }
      const { row, cell } = panel;
      const spoken = this.values(panel, kept.x, kept.y).map(
        ([before, after], c) =>
          `${cell.numbers[c][0]} before ${from(cell, c)}${print(before, row.before[2])}, ` +
          `after ${print(after, cell.digits)}`,
      );
      say(this.live, `${panel.tag.textContent}, x ${kept.x}, y ${kept.y}: ${spoken.join("; ")}`);
    }, 120);
  }

  // ---- pointer, wheel, touch, keyboard ----

  listen() {
    const { root } = this;
    const panelOf = (event) => {
      const panel = event.target.closest?.(".picture")?.panel;
      return panel?.image && !panel.failed ? panel : null;
    };
    root.addEventListener("pointerdown", (event) => this.press(event, panelOf(event)));
    root.addEventListener("pointermove", (event) => this.move(event, panelOf(event)));
    for (const name of ["pointerup", "pointercancel"]) {
      root.addEventListener(name, (event) => this.release(event));
    }
    root.addEventListener("pointerleave", () => this.leave());
    root.addEventListener("click", (event) => {
      const panel = panelOf(event);
      // A click says whole CSS pixels; the press before it was where the pointer read.
      if (panel && !this.dragged) this.keep(this.pixelAt(this.pressed ?? event, panel));
    });
    root.addEventListener("dblclick", (event) => {
      const panel = panelOf(event);
      if (panel) this.zoom(this.view.zoom > 1 ? 0 : 4, this.where(event, panel));
    });
    // The page scrolls as ever; only with Ctrl the wheel belongs to the pictures.
    root.addEventListener("wheel", (event) => {
      const panel = panelOf(event);
      if (!panel || !event.ctrlKey) return;
      event.preventDefault();
      const lines = event.deltaMode === 1 ? 16 : 1;
      const pace = Math.abs(event.deltaY) < 40 ? 0.012 : 0.0025;
      this.zoom(Math.exp(-event.deltaY * lines * pace), this.where(event, panel));
    }, { passive: false });
    // Without this the browser would scroll with two fingers before a pinch is seen.
    root.addEventListener("touchstart", (event) => {
      if (event.touches.length === 2 && panelOf(event)) event.preventDefault();
    }, { passive: false });
    root.addEventListener("keydown", (event) => {
      const panel = panelOf(event);
      if (panel && this.type(event, panel)) event.preventDefault();
    });
    root.addEventListener("focusin", (event) => {
      const panel = panelOf(event);
      if (!panel) return;
      this.focus = { ...panel.place };
      this.rove();
    });
    this.resizes = new ResizeObserver(() => {
      const header = document.querySelector('[data-testid="stHeader"]');
      const main = document.querySelector('[data-testid="stMain"]');
      if (main) {
        const bottom = header ? header.getBoundingClientRect().bottom : 0;
        const below = Math.max(0, bottom - main.getBoundingClientRect().top);
        root.style.setProperty("--below", `${below}px`);
      }
      this.room = root.parentElement.clientWidth;
      root.style.setProperty("--room", `${this.room}px`);
      if (this.message) this.place();
    });
    this.resizes.observe(root.parentElement);
  }

  press(event, panel) {
    if (event.pointerType === "mouse" && event.button !== 0) return;
    this.dragged = false;
    this.pressed = { clientX: event.clientX, clientY: event.clientY };
    if (!panel) return;
    this.pointers.set(event.pointerId, { x: event.clientX, y: event.clientY, panel });
    this.travel = 0;
    if (this.pointers.size > 1) this.dragged = true;
  }

  move(event, panel) {
    const last = this.pointers.get(event.pointerId);
    if (!last) {
      if (event.pointerType === "mouse") this.hoverAt(event, panel);
      return;
    }
    const dx = event.clientX - last.x;
    const dy = event.clientY - last.y;
    if (this.pointers.size === 2) {
      const other = [...this.pointers].find(([id]) => id !== event.pointerId)[1];
      const spread = (x, y) => Math.hypot(x - other.x, y - other.y) || 1;
      const middle = { clientX: (event.clientX + other.x) / 2, clientY: (event.clientY + other.y) / 2 };
      const factor = spread(event.clientX, event.clientY) / spread(last.x, last.y);
      const { scale } = this.lay(last.panel);
      const { width, height } = last.panel.image;
      this.view.x -= dx / 2 / (width * scale);
      this.view.y -= dy / 2 / (height * scale);
      this.zoom(factor, this.where(middle, last.panel));
    } else if (this.view.zoom > 1) {
      this.travel += Math.hypot(dx, dy);
      if (this.travel > CLICK_SLACK) this.grab(event, last.panel);
      if (this.dragged) {
        const { scale } = this.lay(last.panel);
        const { width, height } = last.panel.image;
        const zoom = this.view.zoom;
        this.pan((-dx / (width * scale)) * zoom, (-dy / (height * scale)) * zoom);
      }
    } else if (event.pointerType === "mouse") {
      this.hoverAt(event, panel);
    }
    Object.assign(last, { x: event.clientX, y: event.clientY });
  }

  grab(event, panel) {
    if (this.dragged) return;
    this.dragged = true;
    this.hover = null;
    this.root.classList.add("dragging");
    panel.picture.setPointerCapture(event.pointerId);
  }

  release(event) {
    this.pointers.delete(event.pointerId);
    this.root.classList.remove("dragging");
  }

  leave() {
    if (!this.hover) return;
    this.hover = null;
    this.point();
  }

  hoverAt(event, panel) {
    const pixel = panel && this.pixelAt(event, panel);
    if (!pixel) this.leave();
    else if (["row", "x", "y"].some((name) => this.hover?.[name] !== pixel[name])) {
      this.hover = pixel;
      this.point();
    }
  }

  type(event, panel) {
    const arrows = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
    const arrow = arrows[event.key];
    if (arrow && event.ctrlKey) this.step(arrow);
    else if (arrow && event.shiftKey) this.pan(arrow[0] * 0.1, arrow[1] * 0.1);
    else if (arrow) this.walk(arrow, panel, event.repeat);
    else if (event.ctrlKey || event.metaKey || event.altKey) return false;
    else if (event.key === "+" || event.key === "=") this.zoom(ZOOM_STEP);
    else if (event.key === "-") this.zoom(1 / ZOOM_STEP);
    else if (event.key === "0") this.zoom(0);
    else if (event.key === "Escape") this.keep(null);
    else return false;
    return true;
  }

  // Moves the kept pixel; held keys go by what is seen, single strokes by one pixel.
  walk([dx, dy], panel, held) {
    const { row, place } = panel;
    const kept = this.kept();
    const { scale } = this.lay(panel);
    const stride = held ? Math.max(1, Math.round(4 / scale)) : 1;
    const from = kept?.row === place.row
      ? { x: kept.x + dx * stride, y: kept.y + dy * stride }
      : { x: Math.floor(this.view.x * row.width), y: Math.floor(this.view.y * row.height) };
    const pixel = {
      row: place.row,
      x: clamp(from.x, 0, row.width - 1),
      y: clamp(from.y, 0, row.height - 1),
    };
    this.view.kept = null;
    this.follow(pixel, row);
    this.keep(pixel);
  }

  // Pans so far that a pixel which left the view comes back into it.
  follow(pixel, row) {
    const half = 0.5 / this.view.zoom;
    const x = (pixel.x + 0.5) / row.width;
    const y = (pixel.y + 0.5) / row.height;
    const [left, top] = [clamp(this.view.x, x - half, x + half), clamp(this.view.y, y - half, y + half)];
    if (left === this.view.x && top === this.view.y) return;
    Object.assign(this.view, { x: left, y: top });
    this.place();
  }

  step([dx, dy]) {
    const row = clamp(this.focus.row + dy, 0, this.lines.length - 1);
    const column = clamp(this.focus.column + dx, 0, this.heads.length - 1);
    this.lines[row]?.panels[column]?.canvas?.focus();
  }

  // One tab stop: the picture last focused, else the first that there is.
  rove() {
    const panels = this.lines.flatMap((line) => line.panels).filter((panel) => panel.canvas);
    const { row, column } = this.focus;
    const stop = panels.find((p) => p.place.row === row && p.place.column === column) ?? panels[0];
    for (const panel of panels) panel.canvas.tabIndex = panel === stop ? 0 : -1;
  }
}
