namespace GptFunctions.Hosting;

/// <summary>Functions by which a process tells what it is there for: the allow-list of its pod names them (<see cref="FunctionCatalog.IsEnabled"/>).</summary>
internal static class FunctionNames
{
    /// <summary>Issues tokens: where it is, people and clients are served.</summary>
    public const string Token = "OAuthToken";

    /// <summary>
    /// Forwards calls: where it is, sessions and users are kept in memory. Sorts behind every other function below /gpt: the Functions host tries
    /// routes by function name.
    /// </summary>
    public const string Gateway = "GatewayRequest";
}
