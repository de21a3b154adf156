/* Two films, loaded and decoded before anyone sees them, started together. */
(() => {
  const { make, film } = window.alife;

  window.alife.Pair = class {
    constructor(assignment, screens) {
      Object.assign(this, assignment);
      this.screens = screens;
      this.videos = { left: this.load("left"), right: this.load("right") };
      this.ready = Promise.all([this.videos.left.loaded, this.videos.right.loaded]).then(() => (this.isReady = true));
      this.isReady = false;
      this.replays = 0;
    }

    load(side) {
      const video = make("video", { loop: true, playsinline: true, preload: "auto", "aria-hidden": "true" });
      video.muted = true;
      video.setAttribute("muted", "");
      video.disablePictureInPicture = true;
      video.loaded = new Promise((resolve, reject) => {
        video.addEventListener("canplaythrough", resolve, { once: true });
        video.addEventListener("error", () => reject(new Error("film")), { once: true });
        setTimeout(() => reject(new Error("film")), 20000);
      });
      video.src = film(this.profile, this[side]);
      this.screens[side].append(video);
      return video;
    }

    get both() {
      return [this.videos.left, this.videos.right];
    }

    show() {
      this.since = performance.now();
      for (const video of this.both) {
        if (video.currentTime > 0) video.currentTime = 0;
        video.classList.add("on");
      }
      this.play();
    }

    play() {
      return Promise.all(this.both.map((video) => video.play())).catch(() => {}); /* a hidden page may not play */
    }

    pause() {
      for (const video of this.both) video.pause();
    }

    rewind() {
      for (const video of this.both) video.currentTime = 0;
      this.play();
    }

    hide() {
      this.pause();
      for (const video of this.both) video.classList.remove("on");
    }

    release() {
      for (const video of this.both) {
        video.pause();
        video.removeAttribute("src");
        video.load();
        video.remove();
      }
    }
  };
})();
