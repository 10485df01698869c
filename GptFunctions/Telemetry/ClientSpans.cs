using System.Diagnostics;
using OpenTelemetry;

namespace GptFunctions.Telemetry;

/// <summary>
/// Of the URL that HttpClient's own spans have only the server stays: paths may be keys (a callback's) or a stranger's text (a client that is known by
/// its document). The gateway's calls have spans of their own, with templates.
/// </summary>
internal sealed class ClientSpans : BaseProcessor<Activity>
{
    public const string Operation = "System.Net.Http.HttpRequestOut";
    private const string Url = "url.full";

    public override void OnEnd(Activity data)
    {
        if (data.OperationName == Operation && data.GetTagItem(Url) is string text)
        {
            data.SetTag(Url, Uri.TryCreate(text, UriKind.Absolute, out var url) ? url.GetLeftPart(UriPartial.Authority) + "/" : null);
        }
    }
}
