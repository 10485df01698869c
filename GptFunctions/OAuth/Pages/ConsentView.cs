namespace GptFunctions.OAuth.Pages;

/// <summary>What the consent page says.</summary>
/// <param name="SessionCount">The person's connected apps when there are as many as allowed; 0 otherwise.</param>
/// <param name="Sessions">Those of them that are shown, the least recently used first.</param>
/// <param name="Ends">The ids of those that make room when the person disconnects none, as they come back with the answer.</param>
/// <param name="EndingNames">And their names.</param>
public sealed record ConsentView(
    string RequestId, string Csrf, string ClientName, bool IsSelfRegistered, string RedirectHost, string SignedInAs, IReadOnlyList<ScopeLine> Scopes,
    int SessionCount, IReadOnlyList<SessionLine> Sessions, string Ends, IReadOnlyList<string> EndingNames);

/// <param name="IsNew">The person agreed to less before.</param>
public sealed record ScopeLine(string Sentence, bool IsNew);

public sealed record SessionLine(Guid Id, string ClientName, DateTimeOffset LastActive);
