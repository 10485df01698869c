using System.Security.Cryptography;
using System.Text;

namespace GptFunctions.OAuth.Pages;

/// <summary>The style sheet of all pages, in the page itself: one request, and a Content-Security-Policy that admits exactly this text.</summary>
internal static class PageStyle
{
    public const string Sheet = """
        :root{color-scheme:light dark;--ground:#f4f5f7;--card:#fff;--text:#1b1f24;--soft:#57606a;--line:#d5dae0;--accent:#1a56c4;--on-accent:#fff;--note:#eef3fc;--warn:#fdf3dc;--error:#b3261e}
        @media (prefers-color-scheme:dark){:root{--ground:#0e1116;--card:#181c22;--text:#e8ebef;--soft:#a3acb6;--line:#333a44;--accent:#8ab4ff;--on-accent:#0b1a33;--note:#1d2736;--warn:#33290f;--error:#ff9d94}}
        *{box-sizing:border-box}
        body{margin:0;min-height:100vh;display:flex;flex-direction:column;align-items:center;background:var(--ground);color:var(--text);font:1rem/1.5 system-ui,-apple-system,"Segoe UI",Roboto,sans-serif}
        main{width:100%;max-width:28rem;background:var(--card);padding:1.5rem;flex:1}
        @media (min-width:32rem){body{justify-content:center;padding:2rem}main{flex:none;border:1px solid var(--line);border-radius:.75rem;padding:2rem}}
        h1{font-size:1.375rem;line-height:1.3;margin:0 0 .5rem;overflow-wrap:anywhere}
        h2{font-size:1rem;margin:1.5rem 0 .5rem}
        p{margin:.5rem 0;overflow-wrap:anywhere}
        .soft{color:var(--soft);font-size:.9375rem}
        .scopes{list-style:none;margin:.5rem 0;padding:0;border-top:1px solid var(--line)}
        .scopes li{padding:.625rem 0;border-bottom:1px solid var(--line);display:flex;justify-content:space-between;gap:.75rem;align-items:center}
        .tag{background:var(--note);color:var(--accent);border-radius:1rem;padding:.0625rem .625rem;font-size:.8125rem;font-weight:600;white-space:nowrap}
        .note{background:var(--warn);border-radius:.5rem;padding:.75rem 1rem;margin:1rem 0}
        .problem{color:var(--error)}
        label{display:block;font-weight:600;margin:1rem 0 .25rem}
        input[type=text]{width:100%;font:inherit;color:inherit;background:var(--ground);border:1px solid var(--soft);border-radius:.5rem;padding:.625rem .75rem}
        .actions{display:flex;flex-direction:column;gap:.75rem;margin-top:1.5rem}
        @media (min-width:24rem){.actions{flex-direction:row}}
        button{font:inherit;font-weight:600;border-radius:.5rem;padding:.75rem 1rem;border:1px solid var(--soft);background:transparent;color:var(--text);cursor:pointer;flex:1;min-height:3rem}
        button.main{background:var(--accent);border-color:var(--accent);color:var(--on-accent)}
        button.small{flex:none;min-height:2.5rem;padding:.25rem .75rem;font-size:.875rem}
        :focus-visible{outline:3px solid var(--accent);outline-offset:2px}
        code{font-size:.875rem;overflow-wrap:anywhere}
        """;

    /// <summary>The CSP source expression for <see cref="Sheet"/>.</summary>
    public static string Source { get; } = "sha256-" + Convert.ToBase64String(SHA256.HashData(Encoding.UTF8.GetBytes(Sheet)));
}
