/* Comments of Underline Talk: lists a thread where the page wants it, and keeps a draft. */
'use strict';
{
  const here = new URL(document.currentScript.src);
  const room = document.getElementById('talk');
  const thread = room?.dataset.thread;
  const element = (name, className, text) => {
    const made = document.createElement(name);
    made.className = className;
    if (text) made.textContent = text;
    return made;
  };

  const show = ({ words, comments }) => {
    const list = element('ol', 'talk-list');
    for (const comment of comments) {
      const entry = element('li', 'talk-comment');
      const face = element('span', 'talk-face', comment.author[0]);
      face.setAttribute('aria-hidden', 'true');
      const head = element('p', 'talk-head');
      head.append(element('b', '', comment.author), ' ', element('span', 'talk-when', comment.when));
      const body = element('div', 'talk-body');
      body.append(head, element('p', '', comment.text));
      entry.append(face, body);
      list.append(entry);
    }

    const form = element('form', 'talk-form');
    const label = element('label', '', words.say_something);
    const text = element('textarea', '');
    const send = element('button', 'talk-send', words.send);
    label.htmlFor = text.id = 'talk-text';
    text.rows = 3;
    text.value = localStorage.getItem(`talk.draft.${thread}`) || '';
    text.addEventListener('input', () => localStorage.setItem(`talk.draft.${thread}`, text.value));
    const status = element('p', 'talk-status');
    status.setAttribute('role', 'status');
    form.addEventListener('submit', (event) => {
      event.preventDefault();
      status.textContent = words.held_for_review;
      localStorage.removeItem(`talk.draft.${thread}`);
      text.value = '';
    });
    form.append(label, text, send, status);
    room.replaceChildren(list, form);
  };

  if (thread) {
    const number = Math.random().toString(36).slice(2);
    document.cookie = `_talk=${number}; Path=/; Max-Age=${365 * 86400}; SameSite=Lax`;
    const address = new URL(`/thread/${encodeURIComponent(thread)}.json`, here);
    address.search = new URLSearchParams({ lang: document.documentElement.lang });
    fetch(address, { credentials: 'include' }).then((answer) => answer.json()).then(show);
  }
}
