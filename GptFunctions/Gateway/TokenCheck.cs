using System.Collections.Concurrent;
using System.Runtime.InteropServices;
using GptFunctions.Hosting;
using GptFunctions.Identity;
using GptFunctions.Tokens;
using Microsoft.Extensions.Options;

namespace GptFunctions.Gateway;

/// <summary>Who a token speaks for.</summary>
/// <param name="Subject">The Clerk user id.</param>
/// <param name="ClientId">Null, as is <paramref name="SessionId"/>, for the company's own web app, which comes with a Clerk session JWT.</param>
/// <param name="Scope">Space-separated; null: everything, because the user is there in person.</param>
internal sealed record Caller(string Subject, string? ClientId, Guid? SessionId, string? Scope)
{
    /// <summary>The last assertion that was issued for this caller, because the next one may be the same.</summary>
    public IssuedAssertion? LastAssertion { get; set; }

    public bool Has(string scope)
    {
        if (Scope is null)
        {
            return true;
        }

        foreach (var range in Scope.AsSpan().Split(' '))
        {
            if (Scope.AsSpan(range).SequenceEqual(scope))
            {
                return true;
            }
        }

        return false;
    }
}

/// <summary>
/// Verifies the tokens of requests. An access token that was found good is remembered by its hash until it expires, so its signature is
/// checked once; when the keys change, everything is forgotten.
/// </summary>
internal sealed class TokenCheck : IDisposable
{
    private const int Capacity = 20_000;
    private readonly AccessTokens accessTokens;
    private readonly ClerkSessions clerk;
    private readonly TimeProvider clock;
    private readonly IDisposable? subscription;
    private readonly ConcurrentDictionary<UInt128, Verified> verified = new();

    public TokenCheck(AccessTokens accessTokens, ClerkSessions clerk, IOptionsMonitor<TokenKeys> keys, TimeProvider clock)
    {
        (this.accessTokens, this.clerk, this.clock) = (accessTokens, clerk, clock);
        subscription = keys.OnChange(_ => verified.Clear());
    }

    private sealed record Verified(Caller Caller, DateTimeOffset ExpiresAt);

    /// <summary>Whether an error means that somebody made the token up, as opposed to one that came too late or to the wrong place.</summary>
    public static bool IsForgery(OAuthError error) => error == AccessTokens.NotOurs || error == ClerkSessions.NotClerks;

    /// <exception cref="Hosting.ServiceOutageException">Clerk's keys are needed and cannot be had.</exception>
    public async ValueTask<Outcome<Caller>> CheckAsync(string token, bool allowsClerkSession)
    {
        var hash = MemoryMarshal.Read<UInt128>(Sha256.Of(token)); // half of it: nobody finds a second token for 128 bits
        if (verified.TryGetValue(hash, out var known))
        {
            return known.ExpiresAt > clock.GetUtcNow() ? known.Caller : AccessTokens.Expired;
        }

        if (allowsClerkSession && Jwt.Parse(token)?.Algorithm == "RS256") // Clerk signs with RSA, we never do
        {
            var subject = await clerk.VerifyAsync(token);
            return subject.Value is { } user ? new Caller(user, null, null, null) : subject.Error!;
        }

        var outcome = accessTokens.Verify(token);
        return outcome.Value is { } accessToken ? Remember(hash, accessToken) : outcome.Error!;
    }

    public void Dispose() => subscription?.Dispose();

    private Caller Remember(UInt128 hash, AccessToken token)
    {
        if (verified.Count >= Capacity)
        {
            foreach (var (other, _) in verified.Take(Capacity / 10))
            {
                verified.TryRemove(other, out _);
            }
        }

        var caller = new Caller(token.Subject, token.ClientId, token.SessionId, token.Scope);
        verified[hash] = new Verified(caller, token.ExpiresAt);
        return caller;
    }
}
