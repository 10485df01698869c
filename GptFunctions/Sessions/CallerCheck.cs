using System.Collections.Concurrent;
using GptFunctions.Data;
using GptFunctions.Hosting;
using GptFunctions.Identity;
using GptFunctions.RateLimits;
using GptFunctions.Tokens;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Options;

namespace GptFunctions.Sessions;

/// <summary>Who a token speaks for.</summary>
/// <param name="Subject">The Clerk user id.</param>
/// <param name="ClientId">Null, as is <paramref name="SessionId"/>, for the company's own web app, which comes with a Clerk session JWT.</param>
/// <param name="Scope">Space-separated; null: everything, because the user is there in person.</param>
/// <param name="Audience">The resources that the token is good for; null likewise.</param>
internal sealed record Caller(string Subject, string? ClientId, Guid? SessionId, string? Scope, string[]? Audience)
{
    /// <summary>The last assertion that was issued for this caller, because the next one may be the same.</summary>
    public IssuedAssertion? LastAssertion { get; set; }

    /// <summary>The limit of the last call, because the next one may be of the same tier.</summary>
    private TierLimit? lastLimit;

    /// <summary>The bucket of this caller's calls of a tier.</summary>
    public LimitKey LimitOf(string tier)
    {
        if (lastLimit is { } last && last.Tier == tier)
        {
            return last.Key;
        }

        var key = new LimitKey($"{tier}|{Subject}");
        lastLimit = new TierLimit(tier, key);
        return key;
    }

    /// <param name="resource">The URL of a <see cref="ProtectedResource"/>.</param>
    public bool IsFor(string resource) => Audience is null || Audience.Contains(resource, StringComparer.Ordinal);

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

/// <summary>A caller's bucket of one tier.</summary>
internal sealed record TierLimit(string Tier, LimitKey Key);

/// <summary>An assertion about a caller, and what it was issued for.</summary>
internal sealed record IssuedAssertion(string Text, InternalUser User, string Audience, DateTimeOffset IssuedAt);

/// <summary>Which tokens a route takes.</summary>
internal enum TakenTokens
{
    /// <summary>Ours, which apps have.</summary>
    AccessTokens,

    /// <summary>Clerk's, which the company's own web app has while the person uses it.</summary>
    ClerkSessions,
    Both,
}

/// <summary>Why a caller whose token is good is not let in.</summary>
internal enum CallerRefusal
{
    None,
    SessionEnded,
    ScopeMissing,
    UserUnknown,
    UserBlocked,
}

/// <summary>
/// Says who calls with a bearer token, for every route that takes one: first what the token says, then whether its session lives, its scope
/// suffices and its user may act. An access token that was found good is remembered by its hash until it expires, so its signature is checked
/// once; when the keys change, everything is forgotten. Ends of sessions and changes of users are told by the database to every replica; see
/// <see cref="ChangeFeed"/> for when it cannot.
/// </summary>
internal sealed class CallerCheck : IDisposable
{
    private const int VerifiedCapacity = 20_000;
    private const int SessionCapacity = 100_000;
    private static readonly TimeSpan SessionLifetime = TimeSpan.FromHours(1);
    private readonly AccessTokens accessTokens;
    private readonly ClerkSessions clerk;
    private readonly SessionStore sessions;
    private readonly InternalUsers users;
    private readonly Occasions occasions;
    private readonly IDisposable? subscription;
    private readonly ConcurrentDictionary<UInt128, Verified> verified = new();
    private readonly LiveCache<Guid, DateTimeOffset?> sessionEnds;

    public CallerCheck(
        AccessTokens accessTokens, ClerkSessions clerk, SessionStore sessions, InternalUsers users, Occasions occasions,
        ChangeFeed feed, CacheMetrics metrics, IOptionsMonitor<TokenKeys> keys, TimeProvider clock)
    {
        (this.accessTokens, this.clerk, this.sessions, this.users, this.occasions) = (accessTokens, clerk, sessions, users, occasions);
        subscription = keys.OnChange(_ => verified.Clear());
        sessionEnds = new("sessions", metrics, feed, clock, SessionCapacity, _ => SessionLifetime, sessions.ReadEndAsync);
        feed.Subscribe("session", key =>
        {
            if (Guid.TryParse(key, out var sessionId))
            {
                sessionEnds.Drop(sessionId);
            }
            else
            {
                sessionEnds.DropAll();
            }
        });
    }

    private sealed record Verified(Caller Caller, DateTimeOffset ExpiresAt);

    public static OAuthError SessionEnded { get; } =
        new OAuthError("invalid_token", "session revoked", StatusCodes.Status401Unauthorized).Because(RefusalReason.SessionEnded);

    /// <summary>Whether an error means that somebody made the token up, as opposed to one that came too late or to the wrong place.</summary>
    public static bool IsForgery(OAuthError error) => error == AccessTokens.NotOurs || error == ClerkSessions.NotClerks;

    /// <summary>Who a token says that calls.</summary>
    /// <exception cref="ServiceOutageException">Clerk's keys are needed and cannot be had.</exception>
    public async ValueTask<Outcome<Caller>> VerifyAsync(ReadOnlyMemory<char> token, TakenTokens taken, DateTimeOffset now)
    {
        if (taken == TakenTokens.ClerkSessions)
        {
            return await VerifyPersonAsync(token.ToString());
        }

        var hash = Sha256.HalfOf(token.Span);
        if (verified.TryGetValue(hash, out var known))
        {
            return known.ExpiresAt > now ? known.Caller : AccessTokens.Expired;
        }

        var text = token.ToString();
        if (taken == TakenTokens.Both && Jwt.Parse(text)?.Algorithm == "RS256") // Clerk signs with RSA, we never do
        {
            return await VerifyPersonAsync(text);
        }

        var outcome = accessTokens.Verify(text);
        return outcome.Value is { } accessToken ? Remember(hash, accessToken) : outcome.Error!;
    }

    /// <summary>Whether the caller is let in, and as which user: from memory, as long as that is known to be true.</summary>
    /// <param name="scope">Null: any.</param>
    /// <exception cref="Npgsql.NpgsqlException">The database is needed and away.</exception>
    public async ValueTask<(InternalUser? User, CallerRefusal Refusal)> AdmitAsync(Caller caller, string? scope, DateTimeOffset now)
    {
        if (caller.SessionId is { } sessionId && !(await sessionEnds.GetAsync(sessionId) > now))
        {
            return (null, CallerRefusal.SessionEnded);
        }

        if (scope is not null && !caller.Has(scope))
        {
            return (null, CallerRefusal.ScopeMissing);
        }

        return await users.FindAsync(caller.Subject) switch
        {
            null => (null, CallerRefusal.UserUnknown),
            { IsBlocked: true } => (null, CallerRefusal.UserBlocked),
            var user => (user, CallerRefusal.None),
        };
    }

    /// <summary>
    /// The whole of a route about the caller's own affairs: answers a caller whose session lives and who may act right now, by the database,
    /// and whoever else with the challenge.
    /// </summary>
    public async Task<IResult> AnswerAsync(HttpRequest request, TakenTokens taken, Func<Caller, Occasion, Task<IResult>> answer)
    {
        var token = HttpAuthentication.ReadBearer(request);
        if (token.IsEmpty)
        {
            return OAuthResults.Unauthorized(request, null);
        }

        var occasion = occasions.Of(request.HttpContext);
        var (caller, error) = await VerifyAsync(token, taken, occasion.Now);
        return caller is null ? OAuthResults.Unauthorized(request, error)
            : caller.SessionId is { } sessionId && !await sessions.IsUsableAsync(sessionId, occasion.Now)
                ? OAuthResults.Unauthorized(request, SessionEnded.Of(caller.ClientId, sessionId))
            : await answer(caller, occasion);
    }

    public void Dispose() => subscription?.Dispose();

    private async Task<Outcome<Caller>> VerifyPersonAsync(string token)
    {
        var subject = await clerk.VerifyAsync(token);
        return subject.Value is { } user ? new Caller(user, null, null, null, null) : subject.Error!;
    }

    private Caller Remember(UInt128 hash, AccessToken token)
    {
        if (verified.Count >= VerifiedCapacity)
        {
            foreach (var (other, _) in verified.Take(VerifiedCapacity / 10))
            {
                verified.TryRemove(other, out _);
            }
        }

        var caller = new Caller(token.Subject, token.ClientId, token.SessionId, token.Scope, token.Audience);
        verified[hash] = new Verified(caller, token.ExpiresAt);
        return caller;
    }
}
