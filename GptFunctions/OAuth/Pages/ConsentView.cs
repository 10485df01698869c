using GptFunctions.Pages;

namespace GptFunctions.OAuth.Pages;

/// <summary>What the consent page says.</summary>
public sealed record ConsentView
{
    /// <summary>The parameter of the way back to the sign-in, and the purpose of its token.</summary>
    public const string NotYou = "not_you";

    public required string RequestId { get; init; }
    public required string Csrf { get; init; }

    /// <summary>Where the answer is posted to.</summary>
    public required string Action { get; init; }

    /// <summary>Where somebody else signs in for the same request.</summary>
    public required string NotYouUrl { get; init; }
    public required Name ClientName { get; init; }
    public required bool IsSelfRegistered { get; init; }

    /// <summary>Where the document is that the client is known by: who it is. Null for other clients.</summary>
    public required Name? DocumentHost { get; init; }

    /// <summary>A host, or an app on the person's device: a text of their language.</summary>
    public required string RedirectsTo { get; init; }
    public required Name SignedInAs { get; init; }
    public required IReadOnlyList<ScopeLine> Scopes { get; init; }

    /// <summary>The person's connections, or only this app's, when something ends; 0 otherwise.</summary>
    public required int SessionCount { get; init; }

    /// <summary>Whether another app has to go, and not only this one's own connections.</summary>
    public required bool EndsOthers { get; init; }

    /// <summary>Those of them that are shown, the least recently used first.</summary>
    public required IReadOnlyList<SessionLine> Sessions { get; init; }

    /// <summary>The ids of those that make room when the person disconnects none, as they come back with the answer.</summary>
    public required string Ends { get; init; }

    /// <summary>And their names.</summary>
    public required IReadOnlyList<Name> EndingNames { get; init; }
}

/// <param name="Language">BCP 47, of the sentence; null when nobody said so.</param>
/// <param name="IsNew">The person agreed to less before.</param>
public sealed record ScopeLine(string Sentence, string? Language, bool IsNew);

public sealed record SessionLine(Guid Id, Name ClientName, DateTimeOffset LastActive);
