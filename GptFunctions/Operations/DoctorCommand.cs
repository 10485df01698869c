using System.CommandLine;
using System.Text.Json;
using GptFunctions.Health;
using GptFunctions.Hosting;
using GptFunctions.Identity;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging.Abstractions;

namespace GptFunctions.Operations;

/// <summary>
/// <c>GptFunctions doctor</c>: one command for "it does not work". The checks of the self-test, from where it is called, and those that are too much for
/// every few seconds. It changes nothing.
/// </summary>
internal static class DoctorCommand
{
    private const string Settings = "settings";

    /// <summary>What it says of a process that serves, this one cannot know.</summary>
    private const string OfAServer = "rate_limits";

    public static Command Create()
    {
        var json = new Option<bool>("--json") { Description = "One JSON object, as /__selftest answers with the service key." };
        var command = new Command("doctor", "Look for what is wrong, and say what to do: settings, servers, keys, certificates. Changes nothing.") { json };
        command.SetAction((parsed, _) => Commands.WithServicesAsync(
            parsed,
            async services => Tell(await RunAsync(services), parsed.GetValue(json)),
            problems => Task.FromResult(Tell(Refused(problems), parsed.GetValue(json)))));
        return command;
    }

    private static async Task<SelfTest> RunAsync(IServiceProvider services)
    {
        ICheck[] checks =
        [
            .. services.GetServices<ICheck>().Where(check => check.Name != OfAServer),
            ActivatorUtilities.CreateInstance<CertificateCheck>(services), ActivatorUtilities.CreateInstance<RedirectCheck>(services),
            ActivatorUtilities.CreateInstance<HostsCheck>(services),
        ];
        Task<SelfTest> LookAsync() => new SelfTestService(
            checks, services.GetRequiredService<SafeMode>(), services.GetRequiredService<TimeProvider>(), NullLogger<SelfTestService>.Instance).RunAsync();
        var found = await LookAsync();
        for (var again = 0; again < 2 && IsWrong(found); again++)
        {
            if (again > 0 && found.Subsystems.All(subsystem => subsystem.Finding is not null))
            {
                break;
            }

            found = await LookAsync(); // a process that has just started may have been too slow for itself
        }

        return found with { Subsystems = [new Subsystem(Settings, CheckState.Ok, TimeSpan.Zero, null, null), .. found.Subsystems] };
    }

    private static bool IsWrong(SelfTest found) => found.Subsystems.Any(subsystem => subsystem.State >= CheckState.Degraded);

    /// <summary>With settings that are missing or wrong there is nothing else to look at.</summary>
    private static SelfTest Refused(IReadOnlyList<string> problems) => new(
        TimeProvider.System.GetUtcNow(), false, [new Subsystem(Settings, CheckState.Blocker, TimeSpan.Zero, null, string.Join('\n', problems))]);

    /// <returns>The exit code: 1 when anything is degraded or a blocker.</returns>
    private static int Tell(SelfTest found, bool isJson)
    {
        Console.WriteLine(isJson
            ? JsonSerializer.Serialize(SelfTestResponse.Full(found), SelfTestJson.Default.SelfTestResponseSubsystemResponse)
            : string.Join('\n', found.Subsystems.SelectMany(Lines)));
        return IsWrong(found) ? 1 : 0;
    }

    private static IEnumerable<string> Lines(Subsystem subsystem)
    {
        var mark = subsystem.State switch
        {
            CheckState.Ok => "✓",
            CheckState.Blocker => "✗",
            _ => "!",
        };
        var details = subsystem.Finding?.Details.Select(detail => $"{detail.Key} {detail.Value?.ToString() ?? "none"}") ?? [];
        yield return $"{mark} {subsystem.Name,-20} {string.Join(", ", details)}".TrimEnd();
        foreach (var problem in subsystem.Error?.Split('\n') ?? [])
        {
            yield return $"    {problem}";
        }
    }
}
