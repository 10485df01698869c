namespace GptFunctions.Pages;

/// <summary>
/// The style sheet of all pages, in the page itself: one request, and a Content-Security-Policy that admits exactly this text (<see cref="Brand"/>,
/// which adds the company's colour).
/// </summary>
internal static partial class PageStyle
{
    public const string Sheet = People + Operations + Bars;

    private const string People = """
        :root{color-scheme:light dark;--ground:#f3f4f6;--card:#fff;--text:#1a1e24;--soft:#555e69;--line:#dfe3e8;--edge:#7b858f;--accent:#1a56c4;
          --on-accent:#fff;--tint:#e9f0fc;--note:#fdf4df;--error:#b3261e}
        @media (prefers-color-scheme:dark){:root{--ground:#0d1014;--card:#171b21;--text:#e8ebef;--soft:#a5aeb8;--line:#2c333c;--edge:#76808b;
          --accent:#8ab4ff;--on-accent:#0b1a33;--tint:#1c2a42;--note:#2f2712;--error:#ff9d94}}
        *{box-sizing:border-box}
        body{margin:0;min-height:100vh;display:flex;flex-direction:column;align-items:center;background:var(--ground);color:var(--text);
          font:1rem/1.5 system-ui,-apple-system,"Segoe UI",Roboto,sans-serif}
        main{width:100%;max-width:29rem;background:var(--card);padding:2rem 1.5rem;flex:1}
        @media (min-width:32rem){body{justify-content:center;padding:2rem}main{flex:none;border:1px solid var(--line);border-radius:1rem;
          padding:2.25rem;box-shadow:0 1px 2px #0001}}
        h1{font-size:1.5rem;line-height:1.25;letter-spacing:-.01em;margin:0 0 1rem;overflow-wrap:anywhere}
        h2{font-size:1rem;margin:1.75rem 0 .25rem}
        p{margin:.75rem 0;overflow-wrap:anywhere}
        main>:last-child{margin-bottom:0}
        .brand{width:100%;max-width:29rem;padding:1.25rem 1.5rem 0;background:var(--card);font-weight:700;font-size:1.0625rem;overflow-wrap:anywhere}
        .brand img{display:block;max-width:12rem;max-height:2.5rem}
        @media (min-width:32rem){.brand{background:none;padding:0 .25rem 1rem}}
        @media (prefers-color-scheme:dark){.brand img{background:#fff;border-radius:.5rem;padding:.375rem;box-sizing:content-box}}
        footer{width:100%;max-width:29rem;padding:1rem 1.5rem 1.25rem;background:var(--card);font-size:.875rem}
        @media (min-width:32rem){footer{background:none;padding:1rem .25rem 0}}
        footer,.links{display:flex;flex-wrap:wrap;gap:.25rem 1.25rem}
        footer a,.links a{display:inline-flex;align-items:center;min-height:2.5rem}
        footer a{color:var(--soft)}
        .badge{display:flex;align-items:center;justify-content:center;width:3rem;height:3rem;margin:0 0 1rem;border-radius:.75rem;
          background:var(--tint);color:var(--accent);font-size:1.375rem;font-weight:700;overflow:hidden}
        .soft{color:var(--soft);font-size:.9375rem}
        .facts{margin:0;display:grid;gap:.5rem;font-size:.9375rem}
        .facts dt{color:var(--soft)}
        .facts dd{margin:0;font-weight:600;overflow-wrap:anywhere}
        @media (min-width:24rem){.facts div{display:grid;grid-template-columns:9rem minmax(0,1fr);gap:.75rem}}
        ul{list-style:none;margin:.5rem 0 0;padding:0}
        li{padding:.625rem 0;border-top:1px solid var(--line);display:flex;justify-content:space-between;gap:.75rem;align-items:center;overflow-wrap:anywhere}
        li>:first-child{flex:1;min-width:0}
        .scopes{border-bottom:1px solid var(--line)}
        .scopes li::before{content:"";flex:none;width:.375rem;height:.75rem;margin:-.25rem .375rem 0 .25rem;border:solid var(--accent);
          border-width:0 .125rem .125rem 0;transform:rotate(45deg)}
        .account{display:flex;align-items:center;justify-content:space-between;gap:.75rem;overflow-wrap:anywhere}
        .account>:first-of-type{min-width:0}
        .card{border:1px solid var(--line);border-radius:.75rem;padding:1.125rem;margin:1.25rem 0 0}
        .card h2{font-size:1.125rem;line-height:1.3;margin:0;overflow-wrap:anywhere}
        .card p{margin:.25rem 0}
        .card .note{margin:.75rem 0}
        .card .facts{margin:1rem 0 0}
        .card .facts dd{font-weight:400}
        @media (min-width:24rem){.card .facts div{grid-template-columns:8.5rem minmax(0,1fr)}}
        .card form{display:flex;margin:1rem 0 0}
        .tag{background:var(--tint);color:var(--accent);border-radius:1rem;padding:.0625rem .625rem;font-size:.8125rem;font-weight:600;white-space:nowrap}
        .note{background:var(--note);border-radius:.75rem;padding:1rem;margin:1.5rem 0 0;font-size:.9375rem}
        .note h2{margin:0}
        .note bdi{font-weight:600}
        .facts a{font-weight:400;white-space:nowrap}
        .note p{margin:.25rem 0 .75rem}
        .note li{border-color:var(--edge)}
        .note li:last-child{padding-bottom:0}
        .problem{color:var(--error);font-size:.9375rem}
        .reference{color:var(--soft);font-size:.875rem;border-top:1px solid var(--line);padding-top:1rem;margin-top:1.5rem}
        label{display:block;font-weight:600;margin:1.5rem 0 .375rem}
        input[type=text]{width:100%;font:inherit;color:inherit;background:transparent;border:1px solid var(--edge);border-radius:.625rem;
          padding:.6875rem .875rem}
        input+p{margin:.375rem 0 0}
        .actions{display:flex;flex-direction:column;gap:.75rem;margin:1.75rem 0 1.25rem}
        @media (min-width:22rem){.actions{flex-direction:row}}
        button{font:inherit;font-weight:600;border-radius:.625rem;padding:.75rem 1rem;border:1px solid var(--edge);background:transparent;
          color:var(--text);cursor:pointer;flex:1;min-height:3rem}
        button.main{background:var(--accent);border-color:var(--accent);color:var(--on-accent)}
        button.small{flex:none;min-height:2.75rem;padding:.25rem .75rem;font-size:.875rem}
        a{color:var(--accent);text-underline-offset:.15em}
        a.button{display:inline-flex;align-items:center;justify-content:center;min-height:3rem;font-weight:600;text-decoration:none;
          border-radius:.625rem;padding:.5rem 1rem;border:1px solid var(--edge);color:var(--text)}
        a.button.main{background:var(--accent);border-color:var(--accent);color:var(--on-accent)}
        :focus-visible{outline:3px solid var(--accent);outline-offset:2px}
        code,pre{font-family:ui-monospace,"SF Mono",Consolas,monospace;font-size:.875rem;overflow-wrap:anywhere}
        pre{white-space:pre-wrap;background:var(--ground);border:1px solid var(--line);border-radius:.625rem;padding:.875rem;margin:1rem 0}
        """;
}
