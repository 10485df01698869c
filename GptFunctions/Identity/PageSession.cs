using System.Buffers.Text;
using System.Security.Cryptography;
using System.Text;

namespace GptFunctions.Identity;

/// <summary>Somebody who is signed in to our pages, in one browser.</summary>
/// <param name="UserId">The internal user id.</param>
/// <param name="FormKey">What the tokens of its forms are made with.</param>
internal sealed record PageSession(Guid UserId, Person Person, byte[] FormKey)
{
    /// <summary>
    /// A token for a form of a page: 43 characters of base64url, the same for as long as the session lives. What the form does and to what stands in
    /// the purpose (<c>disconnect|CLIENT_ID</c>), so that no token opens another form.
    /// </summary>
    public string Csrf(string purpose) => Base64Url.EncodeToString(HMACSHA256.HashData(FormKey, Encoding.UTF8.GetBytes(purpose)));

    /// <summary>Whether a form brought the token of this session for this purpose; compares in fixed time.</summary>
    public bool IsCsrf(string? presented, string purpose) =>
        presented is not null && CryptographicOperations.FixedTimeEquals(Encoding.UTF8.GetBytes(presented), Encoding.UTF8.GetBytes(Csrf(purpose)));
}

/// <summary>A sign-in for a page that somebody began.</summary>
/// <param name="ReturnTo">The path of ours, with its query, that it leads to.</param>
internal sealed record StartedPageSignIn(Guid Id, string ReturnTo);
