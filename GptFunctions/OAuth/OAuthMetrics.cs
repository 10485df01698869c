using System.Diagnostics.Metrics;
using GptFunctions.Hosting;
using GptFunctions.Statistics;

namespace GptFunctions.OAuth;

/// <summary>Figures of the authorization server, under the meter <c>GptFunctions.OAuth</c>. <see cref="RequestLog"/> counts its refusals.</summary>
internal sealed class OAuthMetrics : IDisposable
{
    private readonly HourlyCounts counts;
    private readonly Counter<long> tokenRequests;
    private readonly Histogram<double> tokenDuration;
    private readonly Counter<long> signIns;

    public OAuthMetrics(HourlyCounts counts)
    {
        this.counts = counts;
        tokenRequests = Meter.CreateCounter<long>("gpt.oauth.token_requests", "{request}", "Token requests by grant and outcome");
        tokenDuration = Meter.CreateHistogram<double>("gpt.oauth.token_duration", "s", "Time of a token request by grant and result");
        signIns = Meter.CreateCounter<long>("gpt.oauth.sign_ins", "{sign_in}", "Sign-ins by the step that they reached");
    }

    public Meter Meter { get; } = new("GptFunctions.OAuth");

    /// <param name="grant">As the request names it; anything else than the known ones counts as one.</param>
    public void TokenAnswered(string? grant, TokenOutcome outcome, TimeSpan took)
    {
        var grantTag = new KeyValuePair<string, object?>("grant", grant is "authorization_code" or "refresh_token" ? grant : "other");
        tokenRequests.Add(1, grantTag, new("outcome", outcome.Text));
        tokenDuration.Record(took.TotalSeconds, grantTag, new("result", outcome.Result));
        if (grant is "authorization_code" or "refresh_token")
        {
            counts.Add(grant == "refresh_token" ? HourlyCounts.Refresh : HourlyCounts.Exchange, outcome.Result == "refused" ? "refused" : outcome.Text);
        }
    }

    public void Reached(SignInStep step)
    {
        var name = step switch
        {
            SignInStep.Started => "started",
            SignInStep.SignedIn => "signed_in",
            SignInStep.Asked => "asked",
            SignInStep.Approved => "approved",
            _ => "connected",
        };
        signIns.Add(1, new KeyValuePair<string, object?>("step", name));
        counts.Add(HourlyCounts.SignIn, name);
    }

    public void Dispose() => Meter.Dispose();
}

/// <summary>How far a person came who connects an app. Where consent is remembered nobody is asked.</summary>
internal enum SignInStep
{
    Started,
    SignedIn,
    Asked,
    Approved,

    /// <summary>The client has its tokens.</summary>
    Connected,
}

/// <summary>What became of a token request.</summary>
/// <param name="Text">One of those below, or the reason of a refusal.</param>
/// <param name="Result"><c>ok</c>, <c>refused</c> (the client's doing) or <c>failed</c> (ours).</param>
internal readonly record struct TokenOutcome(string Text, string Result)
{
    /// <summary>An outage or a bug: an exception left the function.</summary>
    public static TokenOutcome Failed { get; } = new("failed", "failed");

    public static TokenOutcome Granted { get; } = new("granted", "ok");

    /// <summary>A superseded refresh token was answered again, within its grace.</summary>
    public static TokenOutcome Repeated { get; } = new("repeated", "ok");

    /// <summary>The same after the grace, because the answer to its first use was lost.</summary>
    public static TokenOutcome Recovered { get; } = new("recovered", "ok");

    public static TokenOutcome Refused(RefusalReason reason) => new(reason.Text(), "refused");
}
