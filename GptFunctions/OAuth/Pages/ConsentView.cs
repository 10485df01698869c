namespace GptFunctions.OAuth.Pages;

/// <summary>What the consent page says.</summary>
/// <param name="Sessions">The person's connected apps when there are as many as allowed; empty otherwise.</param>
/// <param name="LeastRecentlyUsed">The name of the app that makes room when the person disconnects none.</param>
public sealed record ConsentView(
    string RequestId, string Csrf, string ClientName, bool IsSelfRegistered, string RedirectHost, string SignedInAs, IReadOnlyList<ScopeLine> Scopes, IReadOnlyList<SessionLine> Sessions, string? LeastRecentlyUsed);

/// <param name="IsNew">The person agreed to less before.</param>
public sealed record ScopeLine(string Sentence, bool IsNew);

public sealed record SessionLine(Guid Id, string ClientName, DateTimeOffset LastActive);
