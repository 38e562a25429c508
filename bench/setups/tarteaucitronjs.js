tarteaucitronCustomText = {
  alertBigPrivacy: 'The Meridian asks for your choice. 6 services would use data about you for Extra functions, Statistics, Advertising, Embedded content. Your choice holds for 6 months.',
  acceptAll: 'Accept all',
  denyAll: 'Reject all',
  personalize: 'Choose',
  comment: { title: 'Extra functions', details: 'Functions you can use but do not have to, such as comments, chat or donations.' },
  analytic: { title: 'Statistics', details: 'Counting visits and seeing which pages are read, so that we can improve them.' },
  ads: { title: 'Advertising', details: 'Showing advertisements, measuring them, and choosing them by what you do here and elsewhere.' },
  video: { title: 'Embedded content', details: 'Videos, posts, maps and fonts that come straight from other companies.' }
};
tarteaucitron.init({
  privacyUrl: '/policies/privacy',
  bodyPosition: 'top',
  orientation: 'bottom',
  showIcon: false,
  showAlertSmall: false,
  cookieslist: false,
  adblocker: false,
  DenyAllCta: true,
  AcceptAllCta: true,
  highPrivacy: true,
  mandatory: true,
  removeCredit: true,
  useExternalCss: true,
  useExternalJs: true,
  googleConsentMode: false,
  bingConsentMode: false,
  pianoConsentMode: false
});
[
  ['postbox', 'Postbox Comments', 'comment'],
  ['readers', 'Reader statistics', 'analytic'],
  ['heatline', 'Heatline', 'analytic'],
  ['adquay', 'Adquay', 'ads'],
  ['lanternreel', 'Lanternreel', 'video'],
  ['chirrup', 'Chirrup', 'video']
].forEach(function (service) {
  var key = service[0];
  tarteaucitron.services[key] = {
    key: key, type: service[2], name: service[1], needConsent: true, cookies: [],
    js: function () { tarteaucitron.addScript('https://' + key + '.localhost:' + location.port + '/tag.js'); }
  };
  (tarteaucitron.job = tarteaucitron.job || []).push(key);
});
