/* Answers on their way. Each is a key of its own in localStorage until the server has said that it is on disk: a closed
   tab, a restarted server or a full disk cannot lose it, and its token keeps it from counting twice. */
(() => {
  const { say, get, post, Refused } = window.alife;
  const KEY = "alife.answer.";
  const FOR_EVER = [400, 403, 409, 422]; /* refusals that another try would not change */

  window.alife.Outbox = class {
    /* `tell` hears what happens: sent(receipt), refused(why), waits(why), lost(), runs(profile). */
    constructor(tell) {
      this.tell = tell;
      this.sending = false;
      this.memory = new Map(); /* where the browser keeps nothing, at least until the page is closed */
    }

    keep(answer) {
      const key = KEY + answer.token.slice(-22);
      try {
        localStorage.setItem(key, JSON.stringify(answer));
      } catch {
        this.memory.set(key, answer);
      }
    }

    forget(answer) {
      const key = KEY + answer.token.slice(-22);
      localStorage.removeItem(key);
      this.memory.delete(key);
    }

    /* Answers to pairs of a profile that are not on its disk, as far as this browser knows; the oldest first. */
    waiting(profile) {
      const stored = Object.keys(localStorage).filter((key) => key.startsWith(KEY));
      const found = [...stored.map((key) => this.read(key)), ...this.memory.values()];
      return found.filter((answer) => answer?.profile === profile).sort((a, b) => a.at - b.at);
    }

    read(key) {
      try {
        return JSON.parse(localStorage.getItem(key));
      } catch {
        return null;
      }
    }

    async send(profile) {
      if (this.sending) return;
      this.sending = true;
      try {
        let next; /* looked for each time: more answers may be given meanwhile */
        while ((next = this.waiting(profile)[0]) && (await this.deliver(next)));
      } finally {
        this.sending = false;
      }
    }

    async settled() {
      while (this.sending) await new Promise((resolve) => setTimeout(resolve, 20));
    }

    /* Whether the next answer may go. */
    async deliver(answer) {
      const { token, answer: choice, response_ms, replays } = answer;
      try {
        const receipt = await post("api/vote", { token, answer: choice, response_ms, replays });
        this.forget(answer);
        this.tell.sent(receipt);
        return true;
      } catch (error) {
        if (!(error instanceof Refused)) throw error;
        if (error.status === 409 && (await this.elsewhere(answer))) return false;
        if (FOR_EVER.includes(error.status)) {
          this.forget(answer);
          this.tell.refused(error.message);
          return true;
        }
        if (error.status === 0) this.tell.lost();
        this.tell.waits(say({ 0: "waiting_offline", 507: "waiting_disk" }[error.status] ?? "waiting_busy"));
        setTimeout(() => this.send(answer.profile), error.status === 429 ? 1000 : 2000);
        return false;
      }
    }

    /* Whether the server runs another profile by now, or does not say; the answer then waits until its own runs. */
    async elsewhere(answer) {
      const now = await get("api/activity").catch(() => null);
      if (now) this.tell.runs(now.profile);
      return !now || now.profile !== answer.profile;
    }
  };
})();
