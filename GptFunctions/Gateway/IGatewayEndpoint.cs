using Microsoft.AspNetCore.Http;

namespace GptFunctions.Gateway;

/// <summary>
/// A path below /gpt that another room answers instead of an upstream. It stands in <c>gateway.json</c>, so it cannot be the route of a function of
/// its own: those are known when the program is built.
/// </summary>
internal interface IGatewayEndpoint
{
    /// <summary>Null when the configuration has none.</summary>
    string? Path { get; }

    /// <summary>Answers a request of whatever method.</summary>
    Task<IResult> AnswerAsync(HttpRequest request);
}
