// The numbers of the queues and the time that is left, kept up to date. Pages say both without it.

const list = document.querySelector('[data-counts]');
const look = async () => {
  if (!list || document.hidden) return;
  const answer = await fetch(list.dataset.counts, { headers: { Accept: 'application/json' }, redirect: 'error' });
  if (!answer.ok) return;
  const counts = await answer.json();
  for (const n of list.querySelectorAll('[data-count]')) {
    const now = counts[n.dataset.count];
    if (now !== undefined && n.textContent !== now) n.textContent = now;
  }
};
if (list) setInterval(() => look().catch(() => {}), 20000);

const left = document.querySelector('[data-countdown]');
if (left) {
  // By the clock of the server: that of the computer may be wrong.
  const end = performance.now() + 1000 * left.dataset.countdown;
  const digits = new Intl.NumberFormat(document.documentElement.lang, { minimumIntegerDigits: 2, useGrouping: false });
  const tick = () => {
    const s = Math.max(0, Math.round((end - performance.now()) / 1000));
    left.textContent = `${digits.format(Math.floor(s / 60))}:${digits.format(s % 60)}`;
    if (s > 0) return;
    // What came of it, as soon as it is done.
    clearInterval(timer);
    setTimeout(() => location.reload(), 5000);
  };
  const timer = setInterval(tick, 1000);
}
