namespace GptFunctions.Pages;

/// <content>What pages for those on call need beside that: navigation, lists, filters, actions.</content>
internal static partial class PageStyle
{
    private const string Operations = """

        body.wide{align-items:stretch;justify-content:flex-start;padding:0}
        .wide main{max-width:80rem;margin:0 auto;flex:1;border:0;border-radius:0;box-shadow:none;padding:1.5rem 1rem 3rem}
        @media (min-width:48rem){.wide main{padding:2rem 2rem 4rem}}
        .wide h2{font-size:1.125rem;margin:2rem 0 .5rem}
        .bar{background:var(--card);border-bottom:1px solid var(--line);padding:.5rem 1rem;display:flex;flex-wrap:wrap;gap:.25rem 1.5rem;
          align-items:center;justify-content:space-between}
        .bar ul{display:flex;flex-wrap:wrap;margin:0;gap:.25rem}
        .bar li{padding:0;border:0}
        .bar a{display:flex;align-items:center;min-height:2.75rem;padding:0 .75rem;border-radius:.625rem;color:var(--text);text-decoration:none;
          font-weight:600}
        .bar a:hover{text-decoration:underline}
        .bar a[aria-current]{background:var(--tint);color:var(--accent)}
        .who{display:flex;flex-wrap:wrap;align-items:center;gap:.25rem .75rem;color:var(--soft);font-size:.875rem;overflow-wrap:anywhere}
        .wide a{color:var(--accent)}
        .wide .facts a{white-space:normal}
        .done{background:var(--tint);border-radius:.75rem;padding:.75rem 1rem;margin:0 0 1.5rem;font-weight:600}
        .filters{display:grid;grid-template-columns:repeat(auto-fill,minmax(13rem,1fr));gap:.75rem 1rem;align-items:end;margin:1rem 0 1.5rem}
        .filters label,.act label{margin:0 0 .25rem;font-size:.875rem}
        .filters button{min-height:2.875rem;padding:.5rem 1rem}
        select{width:100%;font:inherit;color:inherit;background:var(--card);border:1px solid var(--edge);border-radius:.625rem;
          padding:.6875rem .875rem;min-height:2.875rem}
        ::placeholder{color:var(--soft);opacity:1}
        a.button{display:inline-flex;align-items:center;justify-content:center;min-height:2.75rem;padding:.25rem 1rem;border:1px solid var(--edge);
          border-radius:.625rem;font-weight:600;text-decoration:none;color:var(--text)}
        .actions a.button{flex:1;min-height:3rem}
        a.small{font-size:.875rem;padding:.25rem .75rem;white-space:nowrap}
        button.danger{background:var(--error);border-color:var(--error);color:var(--card)}
        .act{border:2px solid var(--edge);border-radius:.75rem;padding:1rem 1.25rem;margin:1.5rem 0;max-width:40rem}
        .act h2{margin:0}
        .act form>label,.act form>div{margin-top:1rem}
        .acts{display:flex;flex-wrap:wrap;gap:.5rem}
        .acts+*{margin-top:1rem}
        p+.acts{margin-top:.75rem}
        a.button.small{white-space:nowrap}
        .list{width:100%;border-collapse:collapse;font-size:.9375rem;table-layout:auto}
        .list caption{position:absolute;width:1px;height:1px;overflow:hidden;clip-path:inset(50%)}
        .list th{text-align:left;color:var(--soft);font-weight:600;font-size:.8125rem;padding:.5rem .75rem .5rem 0;border-bottom:1px solid var(--edge);
          white-space:nowrap}
        .list td{padding:.625rem .75rem .625rem 0;border-bottom:1px solid var(--line);vertical-align:top;overflow-wrap:break-word}
        .list td:has(bdi){overflow-wrap:anywhere}
        .list time,.list .number{white-space:nowrap;font-variant-numeric:tabular-nums}
        .out,.out bdi{overflow-wrap:anywhere}
        .out summary{cursor:pointer;min-height:1.5rem}
        .none{color:var(--soft)}
        .empty{color:var(--soft);padding:1rem 0}
        .pages{margin:1rem 0}
        .choices{display:flex;flex-wrap:wrap;gap:.75rem}
        .state{border-radius:1rem;padding:.0625rem .625rem;font-size:.8125rem;font-weight:600;white-space:nowrap;border:1px solid var(--edge)}
        .state.bad{border-color:var(--error);color:var(--error)}
        .state.good{border-color:var(--accent);color:var(--accent)}
        @media (min-width:48rem){.list td:first-child:not(:has(bdi)){white-space:nowrap}}
        @media (min-width:75rem){.list td:has(bdi){min-width:7.5rem}}
        @media (max-width:47.99rem){
          .list thead{position:absolute;width:1px;height:1px;overflow:hidden;clip-path:inset(50%)}
          .list,.list tbody{display:block}
          .list tr{display:block;border:1px solid var(--line);border-radius:.75rem;padding:.5rem .875rem;margin:0 0 .75rem}
          .list td{display:grid;grid-template-columns:7rem minmax(0,1fr);gap:.75rem;border:0;padding:.25rem 0;overflow-wrap:anywhere}
          .list td>*{justify-self:start}
          .list time,.list .state{white-space:normal}
          .list td::before{content:attr(data-label);color:var(--soft);font-size:.8125rem;padding-top:.125rem}
        }
        """;
}
