using System.Buffers.Binary;
using GptFunctions.Hosting;

namespace GptFunctions.Statistics;

/// <summary>What is new of an authorization request, until it is written down; what is null is not news.</summary>
/// <param name="Id">The request's, a UUIDv7: from it comes when it was asked.</param>
internal sealed record SignInNews(Guid Id)
{
    public string? ClientId { get; set; }
    public string? RedirectUri { get; set; }
    public string? Subject { get; set; }
    public DateTimeOffset? SignedInAt { get; set; }
    public DateTimeOffset? ShownAt { get; set; }
    public DateTimeOffset? ConsentedAt { get; set; }

    /// <summary>Whether the person was asked for consent; false where it was remembered.</summary>
    public bool? WasAsked { get; set; }
    public DateTimeOffset? DeliveredAt { get; set; }
    public DateTimeOffset? ExchangedAt { get; set; }
    public Guid? SessionId { get; set; }
    public DateTimeOffset? StoppedAt { get; set; }

    /// <summary>A reason for a refusal, or <see cref="SignIns.AnotherAccount"/>.</summary>
    public string? StoppedBy { get; set; }

    public DateTimeOffset At => UuidTime.Of(Id);
}

/// <summary>The first call that this process saw of a session.</summary>
internal sealed record FirstCall(Guid SessionId, DateTimeOffset At)
{
    /// <summary>How often its sign-in was looked for in vain: another process may be about to write it.</summary>
    public int Tries { get; set; }
}

/// <summary>
/// How far authorization requests came, until that is written down a second later. Nothing is decided by it. Anybody can ask for /oauth/authorize, so of
/// requests that nobody has signed in for only some a second are noted one by one.
/// </summary>
internal sealed class SignIns(TimeProvider clock)
{
    /// <summary>Why a sign-in ended that nobody refused: its person chose another account.</summary>
    public const string AnotherAccount = "another_account";

    private const int MostAsked = RefusalTally.MostInDetail; // in a second
    private const int MostKept = 10_000;
    private static readonly TimeSpan Window = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan Youth = TimeSpan.FromDays(1);
    private readonly Lock turn = new();
    private readonly HashSet<Guid> seen = [];
    private Dictionary<Guid, SignInNews> news = [];
    private List<FirstCall> firstCalls = [];
    private long lost;
    private long began;
    private int asked;

    /// <summary>The browser is on its way to the sign-in.</summary>
    public void Asked(Guid id, string clientId, string redirectUri)
    {
        lock (turn)
        {
            if (began == 0 || clock.GetElapsedTime(began) >= Window)
            {
                (began, asked) = (clock.GetTimestamp(), 0);
            }

            if (asked++ >= MostAsked)
            {
                return;
            }
        }

        Note(id, clientId, redirectUri, static (_, _) => { }, 0);
    }

    public void SignedIn(Guid id, string clientId, string redirectUri, string subject, DateTimeOffset at) =>
        Note(id, clientId, redirectUri, static (one, it) => (one.Subject, one.SignedInAt) = it, (subject, at));

    /// <summary>The consent page went out.</summary>
    public void Shown(Guid id, string clientId, string redirectUri, DateTimeOffset at) =>
        Note(id, clientId, redirectUri, static (one, it) => one.ShownAt = it, at);

    /// <summary>There is a code, and the browser is told to take it to the client.</summary>
    /// <param name="wasAsked">False where the consent of an earlier time was enough.</param>
    public void Delivered(Guid id, string clientId, string redirectUri, string subject, bool wasAsked, DateTimeOffset at) =>
        Note(id, clientId, redirectUri, static (one, it) => (one.Subject, one.ConsentedAt, one.DeliveredAt, one.WasAsked) = it,
            (subject, (DateTimeOffset?)at, (DateTimeOffset?)at, (bool?)wasAsked));

    public void Exchanged(Guid id, string clientId, Guid sessionId, DateTimeOffset at) =>
        Note(id, clientId, null, static (one, it) => (one.SessionId, one.ExchangedAt) = it, ((Guid?)sessionId, (DateTimeOffset?)at));

    /// <summary>It ended, or its code was refused, for a reason.</summary>
    public void Stopped(Guid id, string clientId, RefusalReason reason, DateTimeOffset at) =>
        Note(id, clientId, null, static (one, it) => (one.StoppedBy, one.StoppedAt) = it, ((string?)reason.Text(), (DateTimeOffset?)at));

    /// <summary>The person let somebody else answer the request: that is a sign-in of its own.</summary>
    public void LeftToAnother(Guid id, string clientId, DateTimeOffset at) =>
        Note(id, clientId, null, static (one, it) => (one.StoppedBy, one.StoppedAt) = it, ((string?)AnotherAccount, (DateTimeOffset?)at));

    /// <summary>A call with a token of a session; of use is the first one only, within a day.</summary>
    public void Called(Guid sessionId, DateTimeOffset now)
    {
        if (now - UuidTime.Of(sessionId) > Youth)
        {
            return;
        }

        lock (turn)
        {
            if (seen.Contains(sessionId))
            {
                return;
            }

            if (seen.Count >= MostKept)
            {
                seen.Clear();
            }

            seen.Add(sessionId);
            if (firstCalls.Count < MostKept)
            {
                firstCalls.Add(new FirstCall(sessionId, now));
            }
        }
    }

    /// <summary>What is new since the last time, and how much more did not fit.</summary>
    public (IReadOnlyCollection<SignInNews> News, long Lost) TakeNews()
    {
        lock (turn)
        {
            var taken = (news.Values, lost);
            (news, lost) = ([], 0);
            return taken;
        }
    }

    public List<FirstCall> TakeFirstCalls()
    {
        lock (turn)
        {
            var taken = firstCalls;
            firstCalls = [];
            return taken;
        }
    }

    /// <summary>The sign-ins of these calls are not known yet.</summary>
    public void PutBack(IEnumerable<FirstCall> calls)
    {
        lock (turn)
        {
            firstCalls.AddRange(calls);
        }
    }

    private void Note<T>(Guid id, string clientId, string? redirectUri, Action<SignInNews, T> change, T what)
    {
        lock (turn)
        {
            if (!news.TryGetValue(id, out var one))
            {
                if (news.Count >= MostKept)
                {
                    lost++;
                    return;
                }

                news[id] = one = new SignInNews(id);
            }

            one.ClientId = clientId;
            one.RedirectUri ??= redirectUri;
            change(one, what);
        }
    }
}

/// <summary>RFC 9562 5.7: the first 48 bits of a UUIDv7 are its time in milliseconds.</summary>
internal static class UuidTime
{
    public static DateTimeOffset Of(Guid id)
    {
        Span<byte> bytes = stackalloc byte[16];
        id.TryWriteBytes(bytes, bigEndian: true, out _);
        var milliseconds = (long)(BinaryPrimitives.ReadUInt64BigEndian(bytes) >> 16);
        return DateTimeOffset.FromUnixTimeMilliseconds(Math.Min(milliseconds, DateTimeOffset.MaxValue.ToUnixTimeMilliseconds()));
    }

    /// <summary>The lowest id of a moment, for conditions on ids.</summary>
    public static Guid Lowest(DateTimeOffset at)
    {
        Span<byte> bytes = stackalloc byte[16];
        BinaryPrimitives.WriteUInt64BigEndian(bytes, (ulong)Math.Max(0, at.ToUnixTimeMilliseconds()) << 16);
        return new Guid(bytes, bigEndian: true);
    }
}
