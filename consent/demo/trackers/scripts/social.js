/* Post cards of Chirrup: turns every quoted post into its card. */
'use strict';
{
  const here = new URL(document.currentScript.src);
  document.cookie = '_chp=1; Path=/; SameSite=Lax';
  localStorage.setItem('chp.theme', matchMedia('(prefers-color-scheme: dark)').matches ? 'dark' : 'light');

  document.querySelectorAll('blockquote[data-chirrup]').forEach((quote) => {
    const frame = document.createElement('iframe');
    const address = new URL(`/card/${encodeURIComponent(quote.dataset.chirrup)}`, here);
    address.search = new URLSearchParams({ lang: document.documentElement.lang });
    frame.src = address;
    frame.title = quote.dataset.title;
    frame.className = 'post-card';
    frame.width = '100%';
    frame.height = '300';
    quote.replaceWith(frame);
  });

  addEventListener('message', (message) => {
    if (message.origin !== here.origin) return;
    document.querySelectorAll('iframe.post-card').forEach((frame) => {
      if (frame.contentWindow === message.source) frame.height = Number(message.data.height) || frame.height;
    });
  });
}
