using System.Buffers.Text;
using System.Security.Cryptography;
using System.Text;
using Microsoft.AspNetCore.Http;

namespace GptFunctions.Identity;

/// <summary>
/// Ties sign-ins in progress to one browser: a cookie with 32 random bytes. Everything that must come back from that browser
/// (CSRF token, upstream state, nonce, PKCE verifier) is an HMAC of the cookie and the request's id, so the
/// database holds only the cookie's hash.
/// </summary>
internal sealed class BrowserBinding
{
    private const int SecretLength = 32;
    private static readonly TimeSpan Lifetime = TimeSpan.FromMinutes(10);
    private readonly byte[] secret;

    private BrowserBinding(byte[] secret) => this.secret = secret;

    public byte[] Hash => SHA256.HashData(secret);

    /// <summary>The binding of the browser that sent this request; null when it has none.</summary>
    public static BrowserBinding? Find(HttpContext context, bool isHttps) =>
        context.Request.Cookies[CookieName(isHttps)] is { Length: 43 } value && Base64Url.IsValid(value, out var bytes) && bytes == SecretLength ? new BrowserBinding(Base64Url.DecodeFromChars(value)) : null;

    /// <summary>Keeps the browser's binding (several tabs may be signing in at once) or makes one; either way it lives another 10 minutes.</summary>
    public static BrowserBinding Ensure(HttpContext context, bool isHttps)
    {
        var binding = Find(context, isHttps) ?? new BrowserBinding(RandomNumberGenerator.GetBytes(SecretLength));
        context.Response.Cookies.Append(CookieName(isHttps), Base64Url.EncodeToString(binding.secret), new CookieOptions
        {
            HttpOnly = true,
            Secure = isHttps,
            SameSite = SameSiteMode.Lax, // the return from the identity provider is a cross-site navigation
            Path = "/",
            MaxAge = Lifetime,
        });
        return binding;
    }

    /// <summary>A value for one purpose of one request: 43 characters of base64url.</summary>
    public string Derive(string purpose, Guid requestId) =>
        Base64Url.EncodeToString(HMACSHA256.HashData(secret, Encoding.UTF8.GetBytes($"{purpose}|{requestId:N}")));

    /// <summary>Compares in fixed time.</summary>
    public bool Is(string? presented, string purpose, Guid requestId) =>
        presented is not null && CryptographicOperations.FixedTimeEquals(Encoding.UTF8.GetBytes(presented), Encoding.UTF8.GetBytes(Derive(purpose, requestId)));

    // __Host-: only this host could have set it, over https, for all paths. Browsers refuse the prefix over plain http.
    private static string CookieName(bool isHttps) => isHttps ? "__Host-gpt-request" : "gpt-request";
}
