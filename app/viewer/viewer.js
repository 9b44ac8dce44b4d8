// Draws the grid of panels. See __init__.py beside this file for the message that it reads.

const MOST_ZOOM = 64;
const KEPT_SOURCES = 16;

// Zoom, centre and pointer by component key: they outlive any change of data.
const views = new Map();
// Decoded sources by row key, oldest first.
const decoded = new Map();
const grids = new WeakMap();

export default function (component) {
  const { data, key, parentElement } = component;
  const host = parentElement.querySelector(".viewer");
  if (!host || !data) return;
  if (!views.has(key)) views.set(key, { zoom: 1, x: 0.5, y: 0.5, pointer: null });
  let grid = grids.get(host);
  if (!grid) {
    grid = new Grid(host, views.get(key));
    grids.set(host, grid);
  }
  grid.update(data instanceof Uint8Array ? data : new Uint8Array(data));
  return () => { grid.latest += 1; };
}

class Grid {
  constructor(host, view) {
    this.host = host;
    this.view = view;
    this.latest = 0;
    this.frames = 0;
    this.signature = "";
    this.touches = new Map();
  }

  async update(bytes) {
    const turn = ++this.latest;
    const message = read(bytes);
    const sources = await Promise.all(message.rows.map((row) => decode(row, message)));
    if (turn !== this.latest) return; // newer data arrived while this was decoded
    message.rows.forEach((row, at) => { row.pixels = sources[at]; });
    this.message = message;
    const signature = JSON.stringify([message.columns.map((c) => c.key),
      message.rows.map((r) => r.channels), message.cells.map((line) => line.map((c) => c.kind === "message"))]);
    if (signature !== this.signature) this.build();
    this.signature = signature;
    this.fill();
    this.place();
    this.point();
    this.host.dataset.drawn = String(++this.frames);
    performance.mark("normviz-drawn");
  }

  build() {
    const focused = this.host.getRootNode().activeElement?.dataset?.place;
    const { columns, rows, cells } = this.message;
    this.host.replaceChildren();
    this.bar();
    this.body = make("div", "grid", this.host);
    this.body.style.setProperty("--columns", columns.length);
    this.heads = columns.map(() => {
      const head = make("div", "head", this.body);
      return { head, title: make("b", "", head), subtitle: make("span", "", head) };
    });
    this.lines = rows.map((row, r) => {
      const title = make("div", "row-title", this.body);
      const line = { title: make("b", "", title), caption: make("span", "", title) };
      line.cells = columns.map((column, c) => this.cell(r, c, cells[r][c].kind === "message", row));
      return line;
    });
    this.live = make("div", "live", this.host);
    this.live.setAttribute("aria-live", "polite");
    if (focused) this.host.querySelector(`[data-place="${focused}"]`)?.focus();
  }

  bar() {
    const bar = make("div", "bar", this.host);
    this.label = make("span", "label", bar);
    this.label.dataset.testid = "display-label";
    const keys = "Keyboard, with a picture focused: arrows move the pointer, Shift + arrows pan, "
      + "plus, minus and 0 zoom, Escape clears. Ctrl + wheel, double click and pinch zoom too.";
    const button = (text, name, act) => {
      const made = make("button", "", bar);
      made.type = "button";
      made.textContent = text;
      made.title = `${name}. ${keys}`;
      made.setAttribute("aria-label", name);
      made.onclick = act;
    };
    button("−", "Zoom out", () => this.zoom(1 / 1.5));
    this.factor = make("output", "", bar);
    button("+", "Zoom in", () => this.zoom(1.5));
    button("Fit", "Show whole pictures", () => this.zoom(0));
  }

  cell(r, c, message, row) {
    const cell = make("div", "cell", this.body);
    cell.dataset.column = this.message.columns[c].key;
    if (message) return { cell, text: make("div", "message", cell) };
    const picture = make("div", "picture", cell);
    const canvas = make("canvas", "", picture);
    const cross = make("div", "cross", picture);
    const names = this.message.cells[r][c].numbers.map((n) => n.channel);
    const table = tableOf(cell, names, ["min", "mean", "std", "max"]);
    const note = make("div", "note", cell);
    const readout = make("div", "readout", cell);
    readout.dataset.testid = "readout";
    picture.tabIndex = c === 0 ? 0 : -1;
    picture.dataset.place = `${r}-${c}`;
    canvas.setAttribute("role", "img");
    this.listen(picture, r);
    return { cell, picture, canvas, cross, table, note, readout };
  }

  fill() {
    const { columns, rows, cells, label } = this.message;
    this.label.textContent = label;
    columns.forEach((column, c) => {
      this.heads[c].head.style.setProperty("--colour", column.colour);
      this.heads[c].title.textContent = column.title;
      this.heads[c].subtitle.textContent = column.subtitle;
    });
    rows.forEach((row, r) => {
      const line = this.lines[r];
      line.title.textContent = row.title;
      line.caption.textContent = row.caption;
      line.cells.forEach((made, c) => {
        const cell = cells[r][c];
        made.cell.dataset.row = row.key;
        if (made.text) { made.text.textContent = cell.text; return; }
        made.picture.style.aspectRatio = `${row.width} / ${row.height}`;
        draw(made.canvas, row, cell, this.message);
        cell.numbers.forEach((numbers, at) => {
          ["low", "mean", "std", "high"].forEach((name, place) => {
            const td = made.table[at][place];
            td.textContent = print(numbers[name], cell.digits);
            td.dataset.value = String(numbers[name]);
          });
        });
        made.note.textContent = cell.note;
        made.canvas.setAttribute("aria-label", `${row.title}, ${columns[c].title}: ` + cell.numbers
          .map((n) => `${n.channel} mean ${print(n.mean, cell.digits)}, std ${print(n.std, cell.digits)}`)
          .join("; "));
      });
    });
  }

  place() {
    const { zoom } = this.view;
    const half = 0.5 / zoom;
    this.view.x = Math.min(1 - half, Math.max(half, this.view.x));
    this.view.y = Math.min(1 - half, Math.max(half, this.view.y));
    const { x, y } = this.view;
    this.host.classList.toggle("zoomed", zoom > 1);
    this.factor.textContent = `${zoom.toFixed(zoom < 10 ? 1 : 0)} ×`;
    this.each((made, row) => {
      made.canvas.style.transform =
        `translate(${(0.5 - x * zoom) * 100}%, ${(0.5 - y * zoom) * 100}%) scale(${zoom})`;
      const shown = made.picture.clientWidth * zoom * (window.devicePixelRatio || 1);
      made.canvas.style.imageRendering = shown > 1.5 * row.width ? "pixelated" : "auto";
    });
  }

  zoom(factor, at = null) {
    const before = this.view.zoom;
    const after = factor === 0 ? 1 : Math.min(MOST_ZOOM, Math.max(1, before * factor));
    if (at) {
      // The point under the pointer stays under it.
      this.view.x = at.x + (this.view.x - at.x) * (before / after);
      this.view.y = at.y + (this.view.y - at.y) * (before / after);
    }
    this.view.zoom = after < 1.01 ? 1 : after;
    this.place();
    this.point();
  }

  point(announce = false) {
    const pointer = this.view.pointer;
    const { rows, cells, columns } = this.message;
    const row = pointer && rows[pointer.row];
    let words = "";
    this.lines.forEach((line, r) => line.cells.forEach((made, c) => {
      if (made.text) return;
      made.cross.style.display = "none";
      if (!row || r !== pointer.row) {
        made.readout.textContent = !pointer && r === 0 && c === 0 ? "Point at a picture to read a pixel." : "";
        return;
      }
      const x = Math.min(row.width - 1, Math.max(0, Math.floor(pointer.x * row.width)));
      const y = Math.min(row.height - 1, Math.max(0, Math.floor(pointer.y * row.height)));
      const left = ((x + 0.5) / row.width - this.view.x) * this.view.zoom + 0.5;
      const top = ((y + 0.5) / row.height - this.view.y) * this.view.zoom + 0.5;
      made.cross.style.left = `${left * 100}%`;
      made.cross.style.top = `${top * 100}%`;
      made.cross.style.display = "block";
      const cell = cells[r][c];
      const values = at(row, cell, x, y, this.message);
      made.readout.replaceChildren();
      const head = make("div", "", made.readout);
      head.textContent = `pixel ${x}, ${y}: before → after`;
      const named = cell.numbers.map((numbers, channel) =>
        `${numbers.channel} ${print(values[channel][0], row.before_digits)} → ${print(values[channel][1], cell.digits)}`);
      named.forEach((text) => { make("div", "", made.readout).textContent = text; });
      if (c === 0) words = `Pixel ${x}, ${y}. `;
      words += `${columns[c].title}: ${named.join(", ")}. `;
    }));
    if (announce) this.live.textContent = words;
  }

  where(event, picture) {
    const box = picture.getBoundingClientRect();
    const { x, y, zoom } = this.view;
    return {
      x: x + ((event.clientX - box.left) / box.width - 0.5) / zoom,
      y: y + ((event.clientY - box.top) / box.height - 0.5) / zoom,
    };
  }

  listen(picture, r) {
    const touches = this.touches;
    picture.onpointerdown = (event) => {
      touches.set(event.pointerId, { x: event.clientX, y: event.clientY });
      if (this.view.zoom > 1 || touches.size > 1) {
        try { picture.setPointerCapture(event.pointerId); } catch { /* the pointer is gone */ }
        picture.classList.add("drag");
      }
      if (event.pointerType !== "mouse") {
        this.view.pointer = { row: r, ...this.where(event, picture) };
        this.point();
      }
    };
    picture.onpointermove = (event) => {
      const last = touches.get(event.pointerId);
      if (last && touches.size > 1) {
        const other = [...touches].find(([id]) => id !== event.pointerId)[1];
        const spread = (p) => Math.hypot(p.x - other.x, p.y - other.y) || 1;
        this.zoom(spread({ x: event.clientX, y: event.clientY }) / spread(last), this.where(event, picture));
      } else if (last && this.view.zoom > 1) {
        const box = picture.getBoundingClientRect();
        this.view.x -= (event.clientX - last.x) / box.width / this.view.zoom;
        this.view.y -= (event.clientY - last.y) / box.height / this.view.zoom;
        this.place();
      }
      if (last) touches.set(event.pointerId, { x: event.clientX, y: event.clientY });
      if (event.pointerType === "mouse" || !last) {
        this.view.pointer = { row: r, ...this.where(event, picture) };
      }
      this.point();
    };
    picture.onpointerup = picture.onpointercancel = (event) => {
      touches.delete(event.pointerId);
      picture.classList.remove("drag");
    };
    picture.onpointerleave = (event) => {
      if (event.pointerType !== "mouse") { touches.delete(event.pointerId); return; }
      this.view.pointer = null;
      this.point();
    };
    picture.ondblclick = (event) => this.zoom(2, this.where(event, picture));
    picture.addEventListener("wheel", (event) => {
      if (!event.ctrlKey) return; // the page scrolls
      event.preventDefault();
      this.zoom(Math.exp(-event.deltaY / 300), this.where(event, picture));
    }, { passive: false });
    picture.onkeydown = (event) => this.key(event, r);
  }

  key(event, r) {
    const moves = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
    const row = this.message.rows[r];
    const move = moves[event.key];
    if (move && event.shiftKey) {
      this.view.x += move[0] * 0.1 / this.view.zoom;
      this.view.y += move[1] * 0.1 / this.view.zoom;
      this.place();
      this.point();
    } else if (move) {
      const pointer = this.view.pointer;
      const start = pointer && pointer.row === r ? pointer : { x: this.view.x, y: this.view.y };
      const step = Math.max(1, Math.round(row.width / 48 / this.view.zoom));
      const bound = (value) => Math.min(0.999999, Math.max(0, value));
      this.view.pointer = {
        row: r,
        x: bound(start.x + move[0] * step / row.width),
        y: bound(start.y + move[1] * step / row.height),
      };
      this.point(true);
    } else if (event.key === "+" || event.key === "=") this.zoom(1.5, this.view.pointer);
    else if (event.key === "-") this.zoom(1 / 1.5, this.view.pointer);
    else if (event.key === "0") this.zoom(0);
    else if (event.key === "Escape") { this.view.pointer = null; this.point(); }
    else return;
    event.preventDefault();
  }

  each(act) {
    this.lines.forEach((line, r) => line.cells.forEach((made) => {
      if (!made.text) act(made, this.message.rows[r]);
    }));
  }
}

function make(tag, name, parent) {
  const made = document.createElement(tag);
  if (name) made.className = name;
  parent.append(made);
  return made;
}

// A table with a row a statistic and a column a channel; returns its cells as [channel][statistic].
function tableOf(parent, channels, statistics) {
  const table = make("table", "", parent);
  const head = make("tr", "", make("thead", "", table));
  make("th", "", head).setAttribute("aria-label", "statistic");
  channels.forEach((channel) => {
    const name = make("th", "", head);
    make("span", `mark ${channel}`, name);
    name.append(channel);
  });
  const body = make("tbody", "", table);
  const lines = statistics.map((statistic) => {
    const line = make("tr", "", body);
    const name = make("th", "", line);
    name.scope = "row";
    name.textContent = statistic;
    return channels.map((channel) => {
      const td = make("td", "", line);
      td.dataset.stat = statistic;
      td.dataset.channel = channel;
      return td;
    });
  });
  return channels.map((_, at) => lines.map((line) => line[at]));
}

function print(value, digits) {
  const text = value.toFixed(digits);
  return Number(text) === 0 ? text.replace("-", "") : text.replace("-", "−");
}

// ---- the message ----

function read(bytes) {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const length = view.getUint32(0, true);
  const message = JSON.parse(new TextDecoder().decode(bytes.subarray(4, 4 + length)));
  message.part = ([start, size]) => bytes.subarray(4 + length + start, 4 + length + start + size);
  return message;
}

function words(bytes) {
  // A copy where the part does not start at an even address.
  return bytes.byteOffset % 2 ? new Uint16Array(bytes.slice().buffer)
    : new Uint16Array(bytes.buffer, bytes.byteOffset, bytes.byteLength / 2);
}

async function decode(row, message) {
  const known = decoded.get(row.key);
  if (known) return known;
  const bytes = message.part(row.source);
  let source;
  if (row.source_format === "raw8") source = { levels: bytes.slice(), stride: row.channels, count: 256 };
  else if (row.source_format === "raw16") source = { levels: words(bytes).slice(), stride: row.channels, count: 65536 };
  else {
    const blob = new Blob([bytes], { type: `image/${row.source_format}` });
    const bitmap = await createImageBitmap(blob, { colorSpaceConversion: "none", premultiplyAlpha: "none" });
    const canvas = document.createElement("canvas");
    canvas.width = row.width;
    canvas.height = row.height;
    const context = canvas.getContext("2d", { willReadFrequently: true });
    context.drawImage(bitmap, 0, 0);
    source = { levels: context.getImageData(0, 0, row.width, row.height).data, stride: 4, count: 256 };
  }
  decoded.set(row.key, source);
  while (decoded.size > KEPT_SOURCES) decoded.delete(decoded.keys().next().value);
  return source;
}

// What a stored level of a channel becomes under the light.
function lit(row, message) {
  const table = row.levels && message.part(row.levels);
  return (level, channel) => (table ? table[level * row.channels + channel] : level);
}

function shade(value, [black, white]) {
  const scaled = ((value - black) * 255) / (white - black);
  return Math.floor(Math.min(255, Math.max(0, scaled)) + 0.5);
}

function draw(canvas, row, cell, message) {
  if (canvas.width !== row.width) canvas.width = row.width;
  if (canvas.height !== row.height) canvas.height = row.height;
  const context = canvas.getContext("2d");
  const picture = context.createImageData(row.width, row.height);
  const out = new Uint32Array(picture.data.buffer);
  const grey = row.channels === 1;
  let levels, stride, tables;
  if (cell.kind === "values") {
    levels = words(message.part(cell.values));
    stride = row.channels;
    const table = new Uint8Array(65536);
    for (let q = 0; q < 65536; q++) table[q] = shade(cell.low + cell.step * q, cell.window);
    tables = [table, table, table];
  } else {
    ({ levels, stride } = row.pixels);
    const light = lit(row, message);
    tables = cell.gain.map((gain, channel) => {
      const table = new Uint8Array(row.pixels.count);
      for (let level = 0; level < table.length; level++) {
        table[level] = shade(gain * light(level, channel) + cell.bias[channel], cell.window);
      }
      return table;
    });
  }
  const [red, green, blue] = grey ? [tables[0], tables[0], tables[0]] : tables;
  const second = grey ? 0 : 1, third = grey ? 0 : 2;
  for (let i = 0, at = 0; i < out.length; i++, at += stride) {
    out[i] = 0xff000000 | (blue[levels[at + third]] << 16) | (green[levels[at + second]] << 8) | red[levels[at]];
  }
  context.putImageData(picture, 0, 0);
}

// [before, after] of each channel at one pixel.
function at(row, cell, x, y, message) {
  const place = y * row.width + x;
  const light = lit(row, message);
  return cell.numbers.map((_, channel) => {
    const level = light(row.pixels.levels[place * row.pixels.stride + channel], channel);
    const before = row.before_low + row.before_step * level;
    const after = cell.kind === "values"
      ? cell.low + cell.step * words(message.part(cell.values))[place * row.channels + channel]
      : cell.gain[channel] * level + cell.bias[channel];
    return [before, after];
  });
}
