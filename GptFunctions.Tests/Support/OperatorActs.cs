using GptFunctions.Audit;
using GptFunctions.Hosting;
using GptFunctions.OAuth;

namespace GptFunctions.Tests.Support;

/// <summary>What operators do to clients, where a test does not care who does it.</summary>
internal static class OperatorActs
{
    public static readonly OperatorAct Test = new("command:test", null);

    private static Occasion Now => Occasion.OfCommand(TimeProvider.System.GetUtcNow(), "command");

    public static Task<(IssuedClient? Issued, string? Problem)> AddAsync(this ClientService clients, NewClient request) =>
        clients.AddAsync(request, Test, Now);

    public static Task<string?> UpdateAsync(this ClientService clients, string clientId, ClientChange change) =>
        clients.UpdateAsync(clientId, change, Test, Now);

    public static Task<(string? Secret, string? Problem)> RotateSecretAsync(this ClientService clients, string clientId) =>
        clients.RotateSecretAsync(clientId, Test, Now);

    public static Task<string?> RetireOldSecretAsync(this ClientService clients, string clientId) => clients.RetireOldSecretAsync(clientId, Test, Now);
}
