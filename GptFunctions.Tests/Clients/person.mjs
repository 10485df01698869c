// What a person does in a browser without script: follow the client's link, sign in, agree. Returns the redirect to the client.
export async function approve(authorizeUrl, user, redirectUri) {
  const cookies = new Map();

  async function visit(url, form) {
    const response = await fetch(url, {
      method: form ? 'POST' : 'GET',
      body: form && new URLSearchParams(form),
      redirect: 'manual',
      headers: { cookie: [...cookies].map(([name, value]) => `${name}=${value}`).join('; ') },
    });
    for (const cookie of response.headers.getSetCookie?.() ?? [response.headers.get('set-cookie')].filter(Boolean)) {
      const [name, value] = cookie.split(';')[0].split('=', 2);
      cookies.set(name, value);
    }
    const location = response.headers.get('location');
    if (location === null) {
      return { url, html: await response.text() };
    }
    const next = new URL(location, url);
    return next.href.startsWith(redirectUri) ? { redirect: next } : visit(next);
  }

  function submit({ url, html }, values) {
    const action = /<form[^>]*action="([^"]*)"/.exec(html)?.[1];
    if (!action) {
      throw new Error(`There is no form at ${url}: ${html}`);
    }
    const hidden = [...html.matchAll(/<input type="hidden" name="([^"]*)" value="([^"]*)"/g)].map(([, name, value]) => [name, value]);
    return visit(new URL(action, url), [...hidden, ...Object.entries(values)]);
  }

  let page = await visit(authorizeUrl);
  page = await submit(page, { user_id: user });
  if (!page.redirect) {
    page = await submit(page, { decision: 'approve' });
  }
  return page.redirect;
}
