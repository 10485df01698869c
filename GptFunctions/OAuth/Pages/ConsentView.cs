namespace GptFunctions.OAuth.Pages;

/// <summary>What the consent page says.</summary>
public sealed record ConsentView
{
    public required string RequestId { get; init; }
    public required string Csrf { get; init; }
    public required string ClientName { get; init; }
    public required bool IsSelfRegistered { get; init; }

    /// <summary>Where the document is that the client is known by: who it is. Null for other clients.</summary>
    public required string? DocumentHost { get; init; }
    public required string RedirectHost { get; init; }
    public required string SignedInAs { get; init; }
    public required IReadOnlyList<ScopeLine> Scopes { get; init; }

    /// <summary>The person's connected apps, or only this one's connections, when there are as many as allowed; 0 otherwise.</summary>
    public required int SessionCount { get; init; }

    /// <summary>Whether there are as many as allowed over all apps, and not only of this one.</summary>
    public required bool IsFull { get; init; }

    /// <summary>Those of them that are shown, the least recently used first.</summary>
    public required IReadOnlyList<SessionLine> Sessions { get; init; }

    /// <summary>The ids of those that make room when the person disconnects none, as they come back with the answer.</summary>
    public required string Ends { get; init; }

    /// <summary>And their names.</summary>
    public required IReadOnlyList<string> EndingNames { get; init; }
}

/// <param name="IsNew">The person agreed to less before.</param>
public sealed record ScopeLine(string Sentence, bool IsNew);

public sealed record SessionLine(Guid Id, string ClientName, DateTimeOffset LastActive);
