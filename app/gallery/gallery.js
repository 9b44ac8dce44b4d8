// The gallery of methods. Search and group live here, by component, and survive new pictures.

const kept = new WeakMap(); // parentElement → what was typed and chosen
const FRESH = { text: "", group: "" };

export default function ({ data, parentElement, setTriggerValue }) {
  const state = kept.get(parentElement) ?? { ...FRESH };
  kept.set(parentElement, state);
  const root = parentElement.querySelector(".gallery");
  const { cards } = data;
  const groups = [...new Set(cards.map((card) => card.group))];

  if (!root.children.length) {
    const bar = element("div", "bar");
    const search = element("input", "search");
    search.type = "search";
    search.placeholder = "Search methods, authors, libraries";
    search.setAttribute("aria-label", "Search methods");
    const chips = element("div", "chips");
    chips.setAttribute("role", "group");
    chips.setAttribute("aria-label", "Group");
    const count = element("output", "count");
    bar.append(search, chips, count);
    root.append(bar, element("div", "cards"));
  }
  const search = root.querySelector(".search");
  search.oninput = () => {
    state.text = search.value;
    filter();
  };
  const chips = root.querySelector(".chips");
  chips.replaceChildren(
    ...["", ...groups].map((group) => {
      const chip = element("button", "chip", group || "All");
      chip.onclick = () => {
        state.group = group;
        filter();
      };
      chip.dataset.group = group;
      return chip;
    }),
  );
  const room = root.querySelector(".cards");
  room.replaceChildren(...cards.map((card) => drawn(card, () => setTriggerValue("chosen", card.key))));

  function filter() {
    const wanted = state.text.toLowerCase().split(/\s+/).filter(Boolean);
    let shown = 0;
    for (const [at, card] of cards.entries()) {
      const text = `${card.title} ${card.summary} ${card.group} ${card.words}`.toLowerCase();
      const fits =
        (!state.group || card.group === state.group) && wanted.every((word) => text.includes(word));
      room.children[at].hidden = !fits;
      shown += fits;
    }
    for (const chip of chips.children) {
      chip.setAttribute("aria-pressed", String(chip.dataset.group === state.group));
    }
    root.querySelector(".count").textContent =
      shown === 0 ? "No method is found by these words." : `${shown} of ${cards.length} methods`;
  }
  filter();
}

function drawn(card, open) {
  const box = element("button", "card");
  box.dataset.key = card.key;
  box.style.setProperty("--colour", card.colour);
  if (card.picture) {
    const picture = element("img", "picture");
    picture.src = card.picture;
    picture.alt = "";
    box.append(picture);
  } else {
    box.append(element("span", "picture message", card.message));
  }
  box.append(element("b", "", card.title), element("span", "summary", card.summary));
  box.onclick = open;
  return box;
}

function element(name, className, text = "") {
  const made = document.createElement(name);
  made.className = className;
  made.textContent = text;
  return made;
}
