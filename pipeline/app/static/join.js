/* Coming in: the key is in the link, after the #, which is in no request's address; what is missing is a name. */
(() => {
  const { say, post, address, translate } = window.alife;
  const form = document.querySelector("form");
  const bad = document.querySelector(".bad");
  const OWNER = /^owner/;
  translate(document.body);

  const given = decoded(location.hash.slice(1));
  form.elements.key.value = given;
  document.querySelector(".key").hidden = given !== "";

  const enter = () => location.replace(address("./")); /* the link with the key leaves the history */

  function decoded(text) {
    try {
      return decodeURIComponent(text);
    } catch {
      return text; /* a stray %: the server will say that this is no key */
    }
  }

  async function join() {
    const button = form.querySelector("button");
    button.disabled = true;
    bad.textContent = "";
    try {
      await post("api/join", { key: form.elements.key.value, name: form.elements.name.value });
      enter();
    } catch (error) {
      bad.textContent = say(error.status === 429 ? "join_wait" : "failed", { why: error.message });
      form.hidden = false;
      if (error.status === 403) document.querySelector(".key").hidden = false; /* it is the key that is wrong */
      button.disabled = false;
    }
  }

  form.addEventListener("submit", (event) => {
    event.preventDefault();
    join();
  });
  form.elements.key.addEventListener("input", asked);
  addEventListener("hashchange", () => location.reload()); /* the link, opened where this page was already */

  function asked() {
    form.elements.name.required = !OWNER.test(form.elements.key.value.trim().toLowerCase());
  }

  async function start() {
    asked();
    if (OWNER.test(given)) return join(); /* one's own link asks nothing */
    const known = await fetch(address("api/me"), { credentials: "same-origin" }).catch(() => null);
    if (known?.ok) return enter(); /* somebody who is in already */
    form.hidden = false;
    if (location.search === "?left") bad.textContent = say("join_left");
    form.elements[given ? "name" : "key"].focus();
  }

  start();
})();
