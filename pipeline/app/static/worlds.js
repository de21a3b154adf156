/* Living worlds on cards: they play while they are seen, and open into a window with their recipe. */
(() => {
  const { say, get, post, lang, film, make, toast, failed } = window.alife;

  const PLAYING = 12;
  const visible = new Set();
  const sight = new IntersectionObserver(
    (entries) => {
      for (const { target, isIntersecting } of entries) {
        if (isIntersecting) visible.add(target);
        else visible.delete(target);
      }
      breathe();
    },
    { threshold: 0.4 },
  );

  /* The first dozen films in sight play, whatever the pointer or the focus is on first. */
  function breathe() {
    for (const video of visible) if (!video.isConnected) visible.delete(video);
    const eager = (video) => (video.closest(".world")?.matches(":hover, :focus-within") ? 0 : 1);
    const order = [...visible].sort((a, b) => eager(a) - eager(b));
    order.forEach((video, place) => {
      if (place < PLAYING) video.play().catch(() => {});
      else video.pause();
    });
    for (const video of document.querySelectorAll(".world video")) if (!visible.has(video)) video.pause();
  }

  function living(source) {
    const video = make("video", { muted: true, loop: true, playsinline: true, preload: "metadata", src: source });
    video.muted = true;
    video.disablePictureInPicture = true;
    video.tabIndex = -1;
    /* a still shows what became of the world, not the noise that it began with */
    video.addEventListener("loadedmetadata", () => (video.currentTime = 0.6 * video.duration), { once: true });
    sight.observe(video);
    return video;
  }

  document.addEventListener("visibilitychange", breathe);
  document.addEventListener("pointerover", (event) => event.target.closest?.(".world") && breathe());

  /* A film on a card that opens the world's details. */
  function thumbnail(profile, item) {
    return make(
      "button.film",
      { type: "button", "aria-label": say("details"), onclick: () => details(profile, item.rollout) },
      living(film(profile, item.file)),
    );
  }

  /* -- one world, large ---------------------------------------------------------------------------------------- */

  async function details(profile, rollout) {
    let world;
    try {
      world = await get(`api/world/${rollout}`);
    } catch (error) {
      return failed(error);
    }
    const rows = Object.entries(world.params).map(([name, value]) =>
      make("tr", {}, make("th", { scope: "row" }, name), make("td", {}, Number(value.toPrecision(4)).toLocaleString(lang))),
    );
    rows.push(make("tr", {}, make("th", { scope: "row" }, say("seed")), make("td", {}, world.seed)));
    const box = make(
      "dialog.details",
      { "aria-label": say("details"), onclose: () => box.remove() },
      make("div.world", {}, living(film(profile, world.file))),
      make(
        "div.facts",
        {},
        make("table", {}, make("tbody", {}, ...rows)),
        make("div.row", {}, keep(world), copy(world), closer(() => box.close())),
      ),
    );
    box.addEventListener("click", (event) => event.target === box && box.close());
    document.querySelector(".gradio-container").append(box);
    box.showModal();
  }

  const closer = (close) => make("button.quiet", { type: "button", onclick: close }, say("close"));

  function keep(world, after = () => {}) {
    const button = make("button.quiet.keep", {
      type: "button",
      onclick: async () => {
        try {
          const state = await post("api/save", { rollout: world.rollout });
          kept(button, true);
          toast(say("saved"));
          after(state);
        } catch (error) {
          failed(error);
        }
      },
    });
    kept(button, Boolean(world.saved));
    return button;
  }

  function kept(button, yes) {
    button.textContent = `${yes ? "★" : "☆"} ${say(yes ? "saved" : "save")}`;
    button.setAttribute("aria-pressed", yes);
    button.disabled = yes;
  }

  function copy(world) {
    return make(
      "button.quiet",
      {
        type: "button",
        onclick: async () => {
          try {
            await navigator.clipboard.writeText(world.recipe); /* without https there is no clipboard */
            toast(say("copied"));
          } catch (error) {
            failed(error);
          }
        },
      },
      say("copy"),
    );
  }

  Object.assign(window.alife, { living, thumbnail, details, keep, kept, copy });
})();
