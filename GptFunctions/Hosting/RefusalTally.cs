using System.Runtime.InteropServices;
using System.Text.Json;
using Microsoft.AspNetCore.Http;

namespace GptFunctions.Hosting;

/// <summary>What refusals are counted by.</summary>
/// <param name="Hour">Its beginning (UTC).</param>
/// <param name="Endpoint">The template of the route; <c>none</c> for a path without one.</param>
/// <param name="ClientId">Empty when none is known.</param>
[StructLayout(LayoutKind.Auto)]
internal readonly record struct RefusalKind(DateTimeOffset Hour, string Endpoint, RefusalReason Reason, string ClientId);

/// <summary>One refusal as operators may see it.</summary>
/// <param name="Id">A UUIDv7.</param>
/// <param name="Action">The gateway's route, where it went to one.</param>
/// <param name="Sent">A JSON object, see <see cref="SentParameters"/>.</param>
internal sealed record RefusedRequest(
    Guid Id, DateTimeOffset At, string Method, string Endpoint, string? Action, int Status, Refusal Why, string CorrelationId, string? UserAgent, string Sent);

/// <summary>
/// The refusals that nobody has written down yet: all of them as counts, and some one by one with what was sent. Whoever keeps them takes them every second;
/// as long as nobody can, the newest stay.
/// </summary>
internal sealed class RefusalTally(TimeProvider clock)
{
    /// <summary>In a second; the rest is only counted, so that a flood costs no more than this.</summary>
    public const int MostInDetail = 50;

    private const int MostKinds = 5_000;
    private const int MostKept = 500;
    private static readonly TimeSpan Window = TimeSpan.FromSeconds(1);
    private readonly Lock turn = new();
    private readonly Tally<RefusalKind> counts = new(MostKinds);
    private readonly Queue<RefusedRequest> newest = new();
    private long began;
    private int described;

    public void Note(HttpContext context, Refusal why, string? route, Occasion occasion)
    {
        var endpoint = route ?? "none";
        counts.Add(new RefusalKind(occasion.Now.BeginningOfHour(), endpoint, why.Reason, why.ClientId ?? ""));
        if (!TryTake())
        {
            return;
        }

        var (request, notes) = (context.Request, RequestNotes.Of(context));
        var one = new RefusedRequest(
            Guid.CreateVersion7(occasion.Now), occasion.Now, SafeText.Of(request.Method, 20), endpoint, notes.Action, context.Response.StatusCode, why,
            occasion.CorrelationId, SafeText.OrNull(request.Headers.UserAgent.ToString(), 200),
            SentParameters.Describe(name => notes.Sent is { } sent ? sent(name) : request.Query[name] is [var value, ..] ? value : null, why.ClientId));
        lock (turn)
        {
            newest.Enqueue(one);
            if (newest.Count > MostKept)
            {
                newest.Dequeue();
            }
        }
    }

    /// <summary>What was noted since the last time.</summary>
    public (Dictionary<RefusalKind, long> Counts, long Lost, RefusedRequest[] Newest) Take()
    {
        var (taken, lost) = counts.Take();
        lock (turn)
        {
            RefusedRequest[] requests = [.. newest];
            newest.Clear();
            return (taken, lost, requests);
        }
    }

    private bool TryTake()
    {
        lock (turn)
        {
            if (began == 0 || clock.GetElapsedTime(began) >= Window)
            {
                (began, described) = (clock.GetTimestamp(), 0);
            }

            return described++ < MostInDetail;
        }
    }
}

/// <summary>
/// What may be kept of the parameters of a refused request: those of a list, cut and without anything that looks like a credential. Of others that are
/// usual the name alone, as <c>with</c>: that a code or a state was there can be what somebody looks for, and what it was is nobody's business.
/// </summary>
internal static class SentParameters
{
    private const int Longest = 500;
    private static readonly string[] Kept = ["response_type", "response_mode", "grant_type", "scope", "resource", "code_challenge_method", "error"];

    private static readonly string[] Named =
    [
        "client_secret", "client_assertion", "state", "code", "code_challenge", "code_verifier", "refresh_token", "request", "request_uri", "continue",
    ];

    /// <param name="value">Of a parameter; null when it was not sent.</param>
    /// <param name="knownClient">A client that exists; any other <c>client_id</c> could be anything, a secret in the wrong field included.</param>
    public static string Describe(Func<string, string?> value, string? knownClient)
    {
        using var bytes = new MemoryStream();
        using (var json = new Utf8JsonWriter(bytes))
        {
            json.WriteStartObject();
            if (value("client_id") is { Length: > 0 } clientId)
            {
                json.WriteString("client_id", clientId == knownClient ? SafeText.Of(clientId, Longest) : Unknown(clientId));
            }

            if (value("redirect_uri") is { Length: > 0 } redirectUri)
            {
                json.WriteString("redirect_uri", SafeText.OfUrl(redirectUri, Longest));
            }

            foreach (var name in Kept)
            {
                if (value(name) is { Length: > 0 } text)
                {
                    json.WriteString(name, SafeText.Of(text, Longest));
                }
            }

            json.WriteStartArray("with");
            foreach (var name in Named)
            {
                if (value(name) is { Length: > 0 })
                {
                    json.WriteStringValue(name);
                }
            }

            json.WriteEndArray();
            json.WriteEndObject();
        }

        return System.Text.Encoding.UTF8.GetString(bytes.ToArray());
    }

    // A client that describes itself has a URL for an id.
    private static string Unknown(string clientId) => clientId.StartsWith("https://", StringComparison.OrdinalIgnoreCase)
        ? SafeText.OfUrl(clientId, Longest)
        : $"(unknown, {clientId.Length} characters)";
}
