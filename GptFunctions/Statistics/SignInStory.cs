using GptFunctions.Hosting;

namespace GptFunctions.Statistics;

/// <summary>How it stands with an authorization request.</summary>
internal enum SignInState
{
    Works,

    /// <summary>Something of it is still to come, and may.</summary>
    UnderWay,
    Stopped,
}

/// <summary>What became of an authorization request, in words.</summary>
/// <param name="Sentence">Where it stands, or stopped.</param>
/// <param name="Cure">What that usually means and what to do; null where there is nothing to do.</param>
internal sealed record SignInStory(SignInState State, string Sentence, string? Cure)
{
    private const int MostUris = 5;
    private const int LongestUri = 300;
    private static readonly TimeSpan RequestLifetime = TimeSpan.FromMinutes(10);
    private static readonly TimeSpan Patience = TimeSpan.FromMinutes(2); // codes live a minute, five at most

    public static SignInStory Of(SignInEntry entry, DateTimeOffset now) => entry switch
    {
        { Reached: SignInReached.Refused } => OfRefusal(entry),
        { StoppedBy: "code_replayed" } => Stopped(
            "The code was exchanged a second time, and the session that it had opened was ended.",
            "Somebody repeats token requests, or has seen the code. Look at the audit trail for gpt.oauth.code_replay_detected."),
        { Reached: SignInReached.FirstCall } => new(SignInState.Works, "Connected, and the app has called.", null),
        { Reached: SignInReached.Exchanged } => OfExchanged(entry, now),
        { Reached: SignInReached.CodeDelivered } => OfDelivered(entry, now),
        { StoppedBy: { } reason } => OfStopped(reason),
        { Reached: SignInReached.Asked } => now - entry.At < RequestLifetime
            ? UnderWay("The person was sent to sign in.")
            : Stopped(
                "The person was sent to sign in and never came back.",
                "They left the sign-in, or the identity provider did not send them back: is PUBLIC_BASE_URL/oauth/callback registered there? GptFunctions "
                    + "doctor "
                + "asks it."),
        { ShownAt: not null } => now - entry.At < RequestLifetime
            ? UnderWay("The consent page is open.")
            : Stopped("The consent page was shown, and nobody answered.", "The person left it. Nothing is wrong with the app."),
        _ => now - entry.At < RequestLifetime
            ? UnderWay("The person signed in.")
            : Stopped(
                "The person signed in, and the browser never asked for the next page.",
                "Its cookies are blocked, or something between it and us drops the redirect."),
    };

    private static SignInStory OfExchanged(SignInEntry entry, DateTimeOffset now) => now - entry.ExchangedAt < TimeSpan.FromDays(1)
        ? UnderWay("Connected; the app has not called yet.")
        : Stopped("Connected; the app did not call within a day.", "The person did not use it, or its calls go elsewhere: compare the API's URL in the app.");

    private static SignInStory OfDelivered(SignInEntry entry, DateTimeOffset now) => (entry.StoppedBy ?? entry.TokenRefusal) switch
    {
        "code_mismatch" => Stopped(
            "The code was delivered, and its exchange refused: redirect URI or PKCE verifier are not those of the request.",
            "The host sent another redirect_uri, or another code_verifier, than it had asked with: tell its developers."),
        "code_expired" => Stopped(
            "The code was delivered, and exchanged too late.", "The host waits longer than GPT_AUTH_CODE_EXPIRY (60 s) with its token request."),
        "session_limit" => Stopped(
            "The code was delivered, and its exchange refused: the person has as many connected apps as allowed.",
            "Another sign-in was faster. The person connects once more, and is asked which app to end."),
        "scopes_withdrawn" => Stopped(
            "The code was delivered, and its exchange refused: the app may have none of the scopes any more.", "Its scopes were reduced meanwhile."),
        "account_closed" => Stopped(
            "The code was delivered, and its exchange refused: the account was deleted or is blocked.", "The person needs an account that may act."),
        "client_secret_wrong" => Stopped(
            "The code was delivered, and the exchange came with a wrong client secret.",
            "Compare the secret in the app, or give it a new one: GptFunctions clients rotate-secret."),
        "client_method_wrong" => Stopped(
            "The code was delivered, and the exchange came with the client's secret in another way than registered.",
            "GptFunctions clients update ID --auth-method."),
        { } reason => Stopped($"The code was delivered, and its exchange refused: {reason}.", "The table of reasons (docs/refusals.md) says what to do."),
        null when now - entry.DeliveredAt < Patience => UnderWay("The code was delivered; its exchange is to come."),
        null => Stopped(
            "The code was delivered, and the exchange never came.",
            "The host did not accept our answer: its page at the redirect URI failed, it lost its state, or its token URL is another one than "
            + "PUBLIC_BASE_URL/oauth/token. Compare the token URL in the app; look for an error on the host's own page."),
    };

    private static SignInStory OfStopped(string reason) => reason switch
    {
        "sign_in_denied" => Stopped("The person cancelled at the identity provider.", null),
        "sign_in_failed" => Stopped(
            "The identity provider's answer was no sign-in.", "Log 2001 and 2002 say why; GptFunctions doctor compares issuer, keys and redirect URI."),
        SignIns.AnotherAccount => Stopped(
            "Another account was chosen (\"Not you?\" on the consent page).", "The sign-in of that account is a row of its own."),
        "consent_denied" => Stopped("The person pressed Cancel on the consent page.", null),
        "account_closed" => Stopped("The account was deleted or is blocked.", "The person needs an account that may act: see People."),
        _ => Stopped($"It was refused: {reason}.", "The table of reasons (docs/refusals.md) says what to do."),
    };

    private static SignInStory OfRefusal(SignInEntry entry) => entry.StoppedBy switch
    {
        "redirect_uri_unregistered" => Stopped(
            $"The redirect URI is not registered: it sent {entry.RedirectUri ?? "none"}, registered {(entry.ClientRedirectUris.Length == 1 ? "is" : "are")} "
            + $"{Registered(entry.ClientRedirectUris)}.",
            "It must be the same to the byte. A GPT gets a new one when it is copied: GptFunctions clients update ID --redirect-uri. The values of a query "
            + "are not kept here."),
        "client_unknown" => Stopped(
            "Nobody has this client id, or the app is disabled.", "Compare the client id in the app with GptFunctions clients list."),
        "client_document_unavailable" => Stopped(
            "The app's client metadata document cannot be read right now.", "Its site does not answer, or egress to it is closed."),
        "client_document_invalid" => Stopped("The app's client metadata document cannot be used.", "The page told the person why; tell the app's developers."),
        "invalid_scope" => Stopped("It asked for a scope that the app may not have.", "GptFunctions clients update ID --scopes, or the scopes in the app."),
        "invalid_target" => Stopped("It asked for a resource that is not ours.", "resource must be the gateway's URL, or that of an MCP endpoint."),
        "unsupported_response_type" => Stopped("It asked for another response_type than code.", "The app's developers have to change that."),
        "not_in_progress" => Stopped(
            "The browser came back to a sign-in that is not in progress there.",
            "Another browser, after ten minutes, answered already, or its cookies are blocked. The person starts again at the app."),
        "rate_limited" => Stopped("Too many sign-ins were begun from one network.", "GPT_AUTHORIZE_LIMIT; is CLIENT_ADDRESS_HEADER right?"),
        "client_unapproved" => Stopped("The app registered itself, and nobody has approved it.", "GptFunctions clients update ID --approve."),
        "session_limit" => Stopped("The person has as many connected apps as allowed.", "The web app has to show which one ends, and send its id."),
        "invalid_request" => Stopped(
            "The request was incomplete: a parameter is missing, repeated or not "
                + "readable.", "The answer said which; PKCE (code_challenge) is missing most often."),
        { } reason => Stopped($"It was refused: {reason}.", "The table of reasons (docs/refusals.md) says what to do."),
        null => Stopped("It was refused.", null),
    };

    private static string Registered(string[] uris) =>
        string.Join(", ", uris.Take(MostUris).Select(uri => SafeText.Of(uri, LongestUri)))
            + (uris.Length > MostUris ? $" and {uris.Length - MostUris} more" : "");

    private static SignInStory Stopped(string sentence, string? cure) => new(SignInState.Stopped, sentence, cure);

    private static SignInStory UnderWay(string sentence) => new(SignInState.UnderWay, sentence, null);
}
