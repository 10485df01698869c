namespace GptFunctions.Pages;

/// <content>Counts by the hour, as bars.</content>
internal static partial class PageStyle
{
    private const string Bars = """

        :root{--s0:#1a56c4;--s1:#b3261e;--s2:#8a5a00;--s3:#137a4b;--s4:#6b3fa0;--s5:#555e69}
        @media (prefers-color-scheme:dark){:root{--s0:#8ab4ff;--s1:#ff9d94;--s2:#e0b255;--s3:#6fd39b;--s4:#c9a6ff;--s5:#a5aeb8}}
        .glance{grid-template-columns:repeat(auto-fill,minmax(min(100%,22rem),1fr))}
        .glance dd{font-weight:400}
        .charts{display:grid;grid-template-columns:repeat(auto-fill,minmax(min(100%,32rem),1fr));gap:1rem 2rem}
        .chart{min-width:0}
        .chart h3{font-size:1rem;margin:.5rem 0}
        .bars{display:block;width:100%;height:8rem;border-bottom:1px solid var(--edge);background:var(--ground)}
        .s0{fill:var(--s0);background:var(--s0)}.s1{fill:var(--s1);background:var(--s1)}.s2{fill:var(--s2);background:var(--s2)}
        .s3{fill:var(--s3);background:var(--s3)}.s4{fill:var(--s4);background:var(--s4)}.s5{fill:var(--s5);background:var(--s5)}
        .axis{display:flex;flex-wrap:wrap;justify-content:space-between;gap:0 1rem;margin:.25rem 0;font-size:.8125rem}
        .legend{display:flex;flex-wrap:wrap;gap:.25rem 1rem;font-size:.875rem}
        .legend li{display:flex;align-items:center;gap:.375rem;border:0;padding:0}
        .legend i{flex:none;width:.75rem;height:.75rem;min-width:.75rem;border-radius:.1875rem}
        summary{cursor:pointer;min-height:1.5rem}
        .chart details{margin:.5rem 0}
        .scroll{overflow:auto;max-height:20rem;border:1px solid var(--line);border-radius:.625rem;margin:.5rem 0}
        .scroll table{border-collapse:collapse;font-size:.875rem;width:100%}
        .scroll caption{text-align:left;color:var(--soft);padding:.5rem .75rem}
        .scroll th,.scroll td{padding:.25rem .75rem;text-align:right;white-space:nowrap;font-variant-numeric:tabular-nums;
          border-top:1px solid var(--line)}
        .scroll th:first-child{text-align:left;font-weight:400}
        .story p{margin:0 0 .25rem}
        .story details{margin:.25rem 0 0;font-size:.875rem}
        .story .facts{margin:.5rem 0;gap:.25rem}
        .story dd{font-weight:400}
        """;
}
