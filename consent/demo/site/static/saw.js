/* Keep the list of what the trackers saw up to date. Asks the site's own server only. */
'use strict';
{
  const PAUSE = 1000;

  const renew = async () => {
    const shown = document.getElementById('seen');
    const answer = await fetch(shown.dataset.json, { cache: 'no-store' });
    const last = answer.ok ? (await answer.json()).last : -1;
    if (String(last) === shown.dataset.last) return;
    const page = await (await fetch(location.pathname, { cache: 'no-store' })).text();
    const fresh = new DOMParser().parseFromString(page, 'text/html').getElementById('seen');
    if (!fresh) return;
    const scrolled = [...shown.querySelectorAll('.party-table')].map((box) => [box.getAttribute('aria-label'), box.scrollLeft]);
    const total = shown.querySelector('[role="status"]');
    const freshTotal = fresh.querySelector('[role="status"]');
    total.textContent = freshTotal.textContent;
    freshTotal.replaceWith(total);
    shown.replaceWith(fresh);
    for (const [host, left] of scrolled) {
      const box = fresh.querySelector(`.party-table[aria-label="${CSS.escape(host)}"]`);
      if (box) box.scrollLeft = left;
    }
  };

  const again = () => {
    if (document.hidden) setTimeout(again, PAUSE);
    else renew().catch(() => {}).finally(() => setTimeout(again, PAUSE));
  };
  again();
}
