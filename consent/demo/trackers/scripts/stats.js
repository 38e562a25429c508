/* Reader statistics of Plimsoll Metrics: counts one view and keeps a number for the reader. */
'use strict';
{
  const here = new URL(document.currentScript.src);
  const number = () => Array.from(crypto.getRandomValues(new Uint8Array(8)), (n) => n.toString(16).padStart(2, '0')).join('');
  const held = (name) => document.cookie.split('; ').find((pair) => pair.startsWith(`${name}=`))?.split('=')[1];
  const keep = (name, value, seconds) => {
    document.cookie = `${name}=${value}; Path=/; Max-Age=${seconds}; SameSite=Lax`;
  };

  const reader = held('_rs') || number();
  const visit = held('_rs_visit') || number();
  keep('_rs', reader, 30 * 86400);
  keep('_rs_visit', visit, 30 * 60);

  const send = (...event) => {
    const sent = JSON.parse(localStorage.getItem('rs.queue') || '[]').slice(-9);
    sent.push(event);
    localStorage.setItem('rs.queue', JSON.stringify(sent));
    const address = new URL('/collect', here);
    address.search = new URLSearchParams({ reader, visit, event: event.join(':'), page: location.pathname });
    fetch(address, { mode: 'no-cors', credentials: 'include', keepalive: true });
  };

  const waiting = window.readerStats?.q || [];
  window.readerStats = send;
  waiting.forEach((event) => send(...event));
}
