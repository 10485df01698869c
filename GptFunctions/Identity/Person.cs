using System.Diagnostics.CodeAnalysis;
using GptFunctions.Hosting;

namespace GptFunctions.Identity;

/// <summary>Who signed in, as the identity provider says.</summary>
/// <param name="Subject">The Clerk user id.</param>
internal sealed record Person(string Subject, string? Email, string? Name)
{
    private const int MaximumSubject = 255;
    private const int MaximumShown = 255;

    /// <summary>What the provider signed about it, for the end of its session there; null where there is none.</summary>
    public string? IdToken { get; init; }

    /// <summary>OpenID Connect Core 2: at most 255 ASCII characters. Printable ones: a subject stands in headers, logs and the database.</summary>
    public static bool IsSubject([NotNullWhen(true)] string? text) =>
        text is { Length: > 0 and <= MaximumSubject } && text.All(character => character is >= ' ' and <= '~');

    /// <summary>
    /// A text that is only shown, above all an address: null when it holds what people would not see, or is longer than one can be. Without what is
    /// hidden in it, it would be another one.
    /// </summary>
    public static string? Shown(string? text) => text is { Length: > 0 and <= MaximumShown } && DisplayText.Clean(text) == text.Trim() ? text : null;
}

/// <summary>Whether the identity provider keeps a person out; null where it does not say.</summary>
/// <param name="LockedUntil">When a lock ends by itself; null when it does not.</param>
internal sealed record Block(bool? IsBanned, bool? IsLocked, DateTimeOffset? LockedUntil);

/// <summary>What the identity provider says of a person once it has changed.</summary>
/// <param name="UpdatedAt">When its record changed, by its own clock.</param>
internal sealed record ProfileChange(Person Person, Block Block, DateTimeOffset UpdatedAt);

/// <summary>Why nobody is signed in.</summary>
/// <param name="IsDenial">The person chose not to; anything else is a fault of the answer we got.</param>
internal sealed record SignInFailure(string Reason, bool IsDenial);

/// <summary>How somebody is to be asked who they are.</summary>
/// <param name="AsSomebodyElse">Whoever is signed in at the provider is not meant: it asks.</param>
/// <param name="Languages">OpenID Connect Core 3.1.2.1, <c>ui_locales</c>; null: the browser's.</param>
/// <param name="Anew">Nobody is let in who has not just proved who they are, whatever session the provider has.</param>
internal sealed record SignInWish(bool AsSomebodyElse = false, string? Languages = null, bool Anew = false);

/// <summary>Where people prove who they are: Clerk, or in Development a page of ours.</summary>
internal interface ISignIn
{
    /// <summary>
    /// The URL to send the browser to, with a <c>state</c> that comes back unchanged. It returns to <c>/oauth/callback</c> or, in Development,
    /// posts to <c>/dev/sign-in</c>.
    /// </summary>
    /// <exception cref="Hosting.ServiceOutageException">The provider cannot be reached.</exception>
    Task<string> StartAsync(Guid requestId, string state, BrowserBinding browser, SignInWish wish);

    /// <summary>Turns the provider's answer (the code it sent to the callback) into a person.</summary>
    Task<(Person? Person, SignInFailure? Failure)> FinishAsync(Guid requestId, BrowserBinding browser, string? code, string? error);

    /// <summary>
    /// The URL where the person's session at the provider ends and that leads back to <paramref name="returnUrl"/> (OpenID Connect RP-Initiated
    /// Logout 1.0); null when the provider has none, or cannot be asked right now: nobody's sign-out waits for it.
    /// </summary>
    /// <param name="idToken">Of the sign-in that ends; null when it is not known.</param>
    Task<string?> FindSignOutAsync(string? idToken, string returnUrl);
}
