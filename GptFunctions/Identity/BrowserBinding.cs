using System.Buffers.Text;
using System.Security.Cryptography;
using System.Text;
using Microsoft.AspNetCore.Http;

namespace GptFunctions.Identity;

/// <summary>
/// Ties sign-ins in progress to one browser: a cookie with 32 random bytes. Everything that must come back from that browser
/// (CSRF token, nonce, PKCE verifier, the sealed request) hangs on the cookie and the request's id, so the database holds only the cookie's hash.
/// A browser has two: one until somebody has signed in, another one, made at that moment, from then on. Whoever planted the first one (on a shared
/// computer, say) does not know the second, without which nothing is approved. A third one is for people who are signed in to our pages.
/// </summary>
internal sealed class BrowserBinding
{
    private const int SecretLength = 32;
    private const int NonceBytes = 12;
    private const int TagBytes = 16;
    private static readonly TimeSpan Lifetime = TimeSpan.FromMinutes(10);
    private readonly byte[] secret;

    private BrowserBinding(byte[] secret) => this.secret = secret;

    public byte[] Hash => SHA256.HashData(secret);

    public static BrowserBinding New() => new(RandomNumberGenerator.GetBytes(SecretLength));

    /// <summary>The binding of the browser that sent this request, for what comes before the sign-in; null when it has none.</summary>
    public static BrowserBinding? Find(HttpContext context, bool isHttps) => Read(context, CookieName(isHttps));

    /// <summary>The binding that the browser got when somebody signed in; null when nobody did.</summary>
    public static BrowserBinding? FindSignedIn(HttpContext context, bool isHttps) => Read(context, SignedInCookieName(isHttps));

    /// <summary>Keeps the browser's binding (several tabs may be signing in at once) or makes one; either way it lives another 10 minutes.</summary>
    public static BrowserBinding Ensure(HttpContext context, bool isHttps)
    {
        var binding = Find(context, isHttps) ?? New();
        binding.KeepForSignIn(context, isHttps);
        return binding;
    }

    /// <summary>Gives the browser this binding for a sign-in that begins.</summary>
    public void KeepForSignIn(HttpContext context, bool isHttps) => Write(context, CookieName(isHttps), isHttps);

    /// <summary>Gives the browser this binding for what comes after the sign-in.</summary>
    public void KeepSignedIn(HttpContext context, bool isHttps) => Write(context, SignedInCookieName(isHttps), isHttps);

    /// <summary>The binding of the browser's session on our pages (<see cref="PageSessions"/>); null when it has none.</summary>
    public static BrowserBinding? FindPage(HttpContext context, bool isHttps) => Read(context, PageCookieName(isHttps));

    /// <summary>Gives the browser this binding for our pages, for as long as their session lives at most.</summary>
    public void KeepForPages(HttpContext context, bool isHttps, TimeSpan lifetime) => Write(context, PageCookieName(isHttps), isHttps, lifetime);

    /// <summary>Takes the binding of our pages from the browser.</summary>
    public static void ForgetPage(HttpContext context, bool isHttps) =>
        context.Response.Cookies.Delete(PageCookieName(isHttps), Options(isHttps, maxAge: null));

    /// <summary>A value for one purpose of one request: 43 characters of base64url.</summary>
    public string Derive(string purpose, Guid requestId) =>
        Base64Url.EncodeToString(HMACSHA256.HashData(secret, Encoding.UTF8.GetBytes($"{purpose}|{requestId:N}")));

    /// <summary>Compares in fixed time.</summary>
    public bool Is(string? presented, string purpose, Guid requestId) =>
        presented is not null
            && CryptographicOperations.FixedTimeEquals(Encoding.UTF8.GetBytes(presented), Encoding.UTF8.GetBytes(Derive(purpose, requestId)));

    /// <summary>Encrypts a text (AES-256-GCM) with a key that only this browser brings, and only for this purpose.</summary>
    public byte[] Seal(string text, string purpose)
    {
        var plain = Encoding.UTF8.GetBytes(text);
        var box = new byte[NonceBytes + plain.Length + TagBytes];
        RandomNumberGenerator.Fill(box.AsSpan(0, NonceBytes));
        using var cipher = CipherFor(purpose);
        cipher.Encrypt(box.AsSpan(0, NonceBytes), plain, box.AsSpan(NonceBytes, plain.Length), box.AsSpan(NonceBytes + plain.Length));
        return box;
    }

    /// <summary>Null for anything that was not sealed with this browser's cookie for this purpose.</summary>
    public string? Open(ReadOnlySpan<byte> box, string purpose)
    {
        if (box.Length < NonceBytes + TagBytes)
        {
            return null;
        }

        var plain = new byte[box.Length - NonceBytes - TagBytes];
        using var cipher = CipherFor(purpose);
        try
        {
            cipher.Decrypt(box[..NonceBytes], box[NonceBytes..^TagBytes], box[^TagBytes..], plain);
            return Encoding.UTF8.GetString(plain);
        }
        catch (AuthenticationTagMismatchException)
        {
            return null;
        }
    }

    private AesGcm CipherFor(string purpose) =>
        new(HKDF.DeriveKey(HashAlgorithmName.SHA256, secret, 32, info: Encoding.UTF8.GetBytes(purpose)), TagBytes);

    private static BrowserBinding? Read(HttpContext context, string name) =>
        context.Request.Cookies[name] is { Length: 43 } value && Base64Url.IsValid(value, out var bytes) && bytes == SecretLength
            ? new BrowserBinding(Base64Url.DecodeFromChars(value))
            : null;

    private void Write(HttpContext context, string name, bool isHttps, TimeSpan? lifetime = null) =>
        context.Response.Cookies.Append(name, Base64Url.EncodeToString(secret), Options(isHttps, lifetime ?? Lifetime));

    private static CookieOptions Options(bool isHttps, TimeSpan? maxAge) => new()
    {
        HttpOnly = true,
        Secure = isHttps,
        SameSite = SameSiteMode.Lax, // the return from the identity provider is a cross-site navigation
        Path = "/",
        MaxAge = maxAge,
    };

    // __Host-: only this host could have set it, over https, for all paths. Browsers refuse the prefix over plain http.
    private static string CookieName(bool isHttps) => isHttps ? "__Host-gpt-request" : "gpt-request";

    private static string SignedInCookieName(bool isHttps) => isHttps ? "__Host-gpt-signed-in" : "gpt-signed-in";

    private static string PageCookieName(bool isHttps) => isHttps ? "__Host-gpt-page" : "gpt-page";
}
