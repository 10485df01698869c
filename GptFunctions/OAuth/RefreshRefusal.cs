using GptFunctions.Hosting;

namespace GptFunctions.OAuth;

/// <summary>Where a refresh token stands when it could not be rotated.</summary>
internal sealed record RefreshRefusal
{
    public const int MostDescendants = 100;

    public required ClientStanding Client { get; init; }
    public required bool IsOwnToken { get; init; }
    public GrantedSession? Session { get; init; }
    public required bool IsSessionLive { get; init; }
    public required bool IsRevoked { get; init; }

    /// <summary>Why its session was ended; null for one that nobody ended.</summary>
    public string? RevokeReason { get; init; }
    public DateTimeOffset? SessionExpiresAt { get; init; }
    public DateTimeOffset? ExpiresAt { get; init; }
    public DateTimeOffset? RotatedAt { get; init; }
    public required int Generation { get; init; }

    /// <summary>The newest generation of the session of which something was used.</summary>
    public required int UsedGeneration { get; init; }

    /// <summary>What came after it: its lineage within the grace, as far as anybody looks, else its successor only.</summary>
    public required byte[][] LaterHashes { get; init; }

    /// <summary>Whether its lineage is longer than anybody looks: nobody who tries again is that far behind.</summary>
    public bool IsFarBehind => LaterHashes.Length > MostDescendants;

    /// <summary>When all refreshes of the session's limit are there again.</summary>
    public DateTimeOffset? RefreshTat { get; init; }

    /// <summary>Why a token cannot be answered, whatever it was used for before; null when that is not decided by this.</summary>
    /// <param name="presented">The token.</param>
    public RefusalReason? Reason(string presented, DateTimeOffset now) =>
        Session is null ? (RefreshTokens.IsToken(presented) ? RefusalReason.RefreshUnknown : RefusalReason.RefreshMalformed)
        : !IsOwnToken ? RefusalReason.ClientMismatch
        : RevokeReason is { } reason ? OfEnded(reason)
        : SessionExpiresAt <= now ? RefusalReason.SessionExpired
        : !IsSessionLive ? RefusalReason.AccountClosed
        : IsRevoked ? RefusalReason.SessionRevoked
        : ExpiresAt <= now ? RefusalReason.RefreshExpired
        : null;

    private static RefusalReason OfEnded(string reason) => reason switch
    {
        "session_limit" => RefusalReason.SessionReplaced,
        "refresh_token_replay" or "code_replay" => RefusalReason.SessionReplayed,
        _ => RefusalReason.SessionRevoked,
    };
}
