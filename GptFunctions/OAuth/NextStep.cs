using GptFunctions.Hosting;
using GptFunctions.Identity;
using GptFunctions.Pages;
using GptFunctions.Sessions;
using GptFunctions.Tokens;
using Microsoft.AspNetCore.Http;
using Languages = GptFunctions.Pages.Languages.Language;

namespace GptFunctions.OAuth;

/// <summary>What the browser is shown or told next.</summary>
internal abstract record NextStep
{
    public static readonly NextStep NotInProgress = new Refuse(
        new(RefusalReason.NotInProgress), StatusCodes.Status403Forbidden, texts => texts.NotInProgress);

    /// <summary>The language that the client asked for, as far as the request knows; null: that which this very call asks for.</summary>
    public Texts? Language { get; init; }

    /// <summary>Go to a URL: the sign-in, or the client's redirect URI.</summary>
    internal sealed record Redirect(string Url) : NextStep
    {
        /// <summary>Why the client gets an error there; null when it gets what it wanted.</summary>
        public Refusal? Why { get; init; }

        /// <summary>To the client with an error (RFC 6749 4.1.2.1); <c>iss</c> is in it as well (RFC 9207 2).</summary>
        public static Redirect WithError(string redirectUri, string? state, OAuthError error, string issuer) => new(UrlQuery.Add(
            redirectUri, ("error", error.Code), ("error_description", error.Description), ("state", state), ("iss", issuer)))
        {
            Why = error.Why,
        };

        public IResult Show(HttpContext context)
        {
            if (Why is { } refusal)
            {
                RequestNotes.Of(context).Refuse(refusal);
            }

            return new SeeOther(Url);
        }
    }

    /// <summary>Ask for consent.</summary>
    internal sealed record AskConsent(ConsentQuestion Question) : NextStep;

    /// <summary>Go on with the request after its sign-in: to the consent page, or back to the client.</summary>
    internal sealed record Continue(Guid RequestId) : NextStep
    {
        public IResult Show(HttpContext context) => new SeeOther(UrlOf(RequestId, Language ?? AskedIn(context)));

        /// <param name="language">Carried on as the client asked for it, whatever the browser says.</param>
        public static string UrlOf(Guid requestId, Texts? language) =>
            UrlQuery.Add("/oauth/authorize", ("continue", requestId.ToString("N")), (Languages.Parameter, language?.Tag));

        /// <summary>The language that a page of ours carries on; null: the browser's.</summary>
        public static Texts? AskedIn(HttpContext context) =>
            Languages.Asked(context.Request.Query[Languages.Parameter].FirstOrDefault());
    }

    /// <summary>Go on with the request, and from now on with this cookie.</summary>
    internal sealed record SignedIn(Guid RequestId, BrowserBinding Browser) : NextStep
    {
        public IResult Show(HttpContext context, bool isHttps)
        {
            Browser.KeepSignedIn(context, isHttps);
            return new SeeOther(Continue.UrlOf(RequestId, Language));
        }
    }

    /// <summary>Show an error page, because there is no address that an error could safely be sent to.</summary>
    /// <param name="ForItsMakers">What only the client's makers can do something about, in English.</param>
    internal sealed record Refuse(Refusal Why, int Status, Func<Texts, Notice> Say, int? RetryAfterSeconds = null, string? ForItsMakers = null) : NextStep
    {
        public IResult Show(HttpContext context) => PageResults.Refuse(context, Why, Status, Say, RetryAfterSeconds, ForItsMakers);
    }
}

/// <summary>What the consent page says.</summary>
/// <param name="Room">The person's connected apps, and whether there is room for this one.</param>
internal sealed record ConsentQuestion(PendingRequest Request, SessionRoom Room);

/// <summary>A request before its sign-in, with the client that it is from.</summary>
internal sealed record StartedSignIn(StartedRequest Request, Client Client)
{
    public Texts? Language => Languages.Asked(Request.Language);
}
