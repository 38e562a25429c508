/* Advertising slots of Brassgate Exchange: fills every empty slot and remembers what was shown. */
'use strict';
{
  const here = new URL(document.currentScript.src);
  const language = document.documentElement.lang;
  const held = document.cookie.split('; ').find((pair) => pair.startsWith('_adq='))?.split('=')[1];
  const audience = held || String(Math.floor(Math.random() * 1e9));
  document.cookie = `_adq=${audience}; Path=/; Max-Age=${90 * 86400}; SameSite=Lax`;
  localStorage.setItem('adq.seen', String(Number(localStorage.getItem('adq.seen') || 0) + 1));

  document.querySelectorAll('[data-ad-slot]:empty').forEach((slot) => {
    const frame = document.createElement('iframe');
    const address = new URL('/creative', here);
    address.search = new URLSearchParams({ slot: slot.dataset.adSlot, audience, lang: language });
    frame.src = address;
    frame.title = slot.dataset.adTitle;
    frame.width = '100%';
    frame.height = '250';
    slot.append(frame);
  });
}
