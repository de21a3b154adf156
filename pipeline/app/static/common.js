/* What all tabs share: words, requests, elements. No framework, no request beyond this server. */
window.alife = (() => {
  const lang = (navigator.language || "en").toLowerCase().startsWith("fr") ? "fr" : "en";
  document.documentElement.lang = lang;
  const words = window.ALIFE_WORDS[lang];

  /* The word for `key`; of "one|many" the form that goes with values.n. */
  function say(key, values = {}) {
    let text = words[key] ?? key;
    if (text.includes("|")) {
      const one = lang === "fr" ? Math.abs(values.n) < 2 : values.n === 1;
      text = text.split("|")[one ? 0 : 1];
    }
    return text.replace(/\{(\w+)\}/g, (_, name) => number(values[name]));
  }

  const number = (value) => (typeof value === "number" ? value.toLocaleString(lang) : value);
  const percent = (value) => value.toLocaleString(lang, { style: "percent", maximumFractionDigits: 0 });
  const decimal = (value) => (Math.abs(value) < 0.005 ? 0 : value).toLocaleString(lang, { maximumFractionDigits: 2, minimumFractionDigits: 2 });

  function translate(root) {
    for (const element of root.querySelectorAll("[data-say]")) element.textContent = say(element.dataset.say);
    for (const element of [root, ...root.querySelectorAll("*")].filter((each) => each.dataset.sayLabel)) {
      element.setAttribute("aria-label", say(element.dataset.sayLabel));
      if (element.hasAttribute("data-tip")) element.title = say(element.dataset.sayLabel);
    }
  }

  /* -- requests ------------------------------------------------------------------------------------------------ */

  let switching = 0; /* requests under way that change the profile */

  const address = (path) => new URL(path, document.baseURI).href;
  const film = (profile, file) => address(`media/${profile}/${file}`);

  class Refused extends Error {
    constructor(status, message) {
      super(message);
      this.status = status; /* 0: the server does not answer */
    }
  }

  async function request(path, options = {}) {
    let response;
    try {
      response = await fetch(address(path), { credentials: "same-origin", ...options });
    } catch {
      throw new Refused(0, say("offline"));
    }
    const body = await response.json().catch(() => ({}));
    if (response.ok) return body;
    /* no longer invited: answers wait here. To leave while a profile is opened would lose the answer that lets us in */
    if (response.status === 401 && !switching) location.assign(address("join?left"));
    throw new Refused(response.status, typeof body.detail === "string" ? body.detail : `${response.status}`);
  }

  const get = (path) => request(path);
  const post = (path, body = {}) =>
    request(path, {
      method: "POST",
      headers: { "content-type": "application/json", "x-alife": "1" },
      body: JSON.stringify(body),
    });

  /* Ask for another profile. */
  async function change(path, wish) {
    switching += 1;
    try {
      return await post(path, wish);
    } finally {
      switching -= 1;
    }
  }

  /* -- elements ------------------------------------------------------------------------------------------------ */

  /* make("p.note", {title: "…"}, "text", child): an element; text is text, never markup. */
  function make(kind, attributes = {}, ...children) {
    const [tag, ...classes] = kind.split(".");
    const element = document.createElement(tag);
    element.className = classes.join(" ");
    for (const [name, value] of Object.entries(attributes)) {
      if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
      else if (name.startsWith("aria-")) element.setAttribute(name, value);
      else if (value !== undefined && value !== false) element.setAttribute(name, value === true ? "" : value);
    }
    element.append(...children.filter((child) => child !== null && child !== undefined));
    return element;
  }

  function svg(tag, attributes, text) {
    const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
    for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
    if (text !== undefined) element.textContent = text;
    return element;
  }

  /* Show `items` in `parent`: one element per key, moved rather than made again, so that films go on playing. */
  function keyed(parent, items, key, create, update = () => {}) {
    const known = new Map([...parent.children].map((child) => [child.dataset.key, child]));
    items.forEach((item, place) => {
      const name = String(key(item));
      let element = known.get(name);
      known.delete(name);
      if (!element) {
        element = create(item);
        element.dataset.key = name;
      }
      update(element, item, place);
      if (parent.children[place] !== element) parent.insertBefore(element, parent.children[place] ?? null);
    });
    for (const element of known.values()) element.remove();
  }

  const shown = (element) => element.isConnected && element.offsetParent !== null && !document.hidden;

  /* Call `step` now and every `ms` while `element` can be seen; at once when it comes into sight. */
  function whileShown(element, ms, step) {
    let last = -Infinity;
    let busy = false;
    const look = async () => {
      if (!element.isConnected) return clearInterval(timer);
      if (!shown(element)) return void (last = -Infinity);
      if (busy || performance.now() - last < ms) return;
      busy = true;
      try {
        await step();
      } catch (error) {
        if (!(error instanceof Refused)) console.error(error);
      }
      last = performance.now();
      busy = false;
    };
    const timer = setInterval(look, 120);
    look();
    return () => {
      last = -Infinity;
      return look();
    };
  }

  /* A small window over a title on the page's foot that says what happened. */
  function toast(text, bad = false) {
    let shelf = document.getElementById("toasts");
    if (!shelf) {
      shelf = make("div", { id: "toasts", role: "status", "aria-live": "polite" });
      document.body.append(shelf);
    }
    const note = make(bad ? "p.bad" : "p", {}, text);
    shelf.append(note);
    setTimeout(() => note.remove(), bad ? 8000 : 3500);
  }

  const failed = (error) => toast(say("failed", { why: error.message }), true);

  /* A choice of one among few; calls `change` with the value. */
  function segments(label, values, current, change) {
    const group = make("div.segments", { role: "radiogroup", "aria-label": label });
    for (const [value, text] of values) {
      const button = make("button", { type: "button", role: "radio", "aria-checked": value === current }, text);
      button.addEventListener("click", () => {
        for (const other of group.children) other.setAttribute("aria-checked", other === button);
        change(value);
      });
      group.append(button);
    }
    return group;
  }

  function empty(title, more) {
    return make("div.empty", {}, make("strong", {}, title), make("p", {}, more));
  }

  return {
    lang, say, number, percent, decimal, translate, address, film, get, post, change, Refused, make, svg, keyed, shown,
    whileShown, toast, failed, segments, empty,
  };
})();
