using Microsoft.AspNetCore.Connections;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Options;

namespace GptFunctions.Hosting;

/// <summary>Picks the host, runs it, and turns settings that are missing or unsafe into one readable list.</summary>
internal static class Startup
{
    private const int ConfigurationError = 78; // EX_CONFIG of sysexits.h

    public static async Task<int> RunAsync(string[] args, Action<IHostApplicationBuilder> addFeatures)
    {
        try
        {
            using var host = Build(args, addFeatures);
            // Before the start itself, which would log each refusal with its stack trace.
            host.Services.GetRequiredService<IStartupValidator>().Validate();
            await host.RunAsync();
            return 0;
        }
        catch (Exception error) when (Problems(error) is { Count: > 0 } problems)
        {
            return await ReportAsync(problems);
        }
        catch (IOException error) when (error.InnerException is AddressInUseException)
        {
            return await ReportAsync([$"PORT must be free (or HTTP_ADDRESS another one), but something listens there already: {error.Message}"]);
        }
    }

    /// <summary>Writes what keeps the program from starting to standard error.</summary>
    public static async Task<int> ReportAsync(IReadOnlyList<string> problems)
    {
        await Console.Error.WriteLineAsync(
            $"GptFunctions cannot start: {(problems.Count == 1 ? "one setting needs" : $"{problems.Count} settings need")} attention.");
        foreach (var problem in problems)
        {
            await Console.Error.WriteLineAsync(" - " + problem);
        }

        return ConfigurationError;
    }

    /// <summary>The sentences of failed validations; empty for any other exception.</summary>
    public static IReadOnlyList<string> Problems(Exception error) => error switch
    {
        OptionsValidationException one => [.. one.Failures],
        AggregateException many when many.InnerExceptions.All(inner => inner is OptionsValidationException) => [.. many.InnerExceptions.SelectMany(Problems)],
        _ => [],
    };

    private static IHost Build(string[] args, Action<IHostApplicationBuilder> addFeatures)
    {
#if FUNCTIONS_WORKER
        if (IsStartedByFunctionsHost(args) && Environment.GetEnvironmentVariable("HOST") != "standalone")
        {
            return FunctionsHost.Build(args, addFeatures);
        }
#endif
        // Continuations run where the socket's event arrived instead of on another thread: about a third less work for each request,
        // and safe because nothing here blocks: no caller's hang-up cancels a statement, which would (Database). .NET reads this before the
        // first socket is made, and only from the environment.
        Environment.SetEnvironmentVariable("DOTNET_SYSTEM_NET_SOCKETS_INLINE_COMPLETIONS", "1");
        return StandaloneHost.Build(addFeatures);
    }

#if FUNCTIONS_WORKER
    // The Functions host starts the worker with its own address; nobody else sets any of these.
    private static bool IsStartedByFunctionsHost(string[] args) =>
        args.Any(argument => argument.StartsWith("--functions-", StringComparison.Ordinal) || argument is "--host" or "--workerId")
        || Environment.GetEnvironmentVariable("FUNCTIONS_WORKER_RUNTIME") is not null
        || Environment.GetEnvironmentVariable("Functions:Worker:HostEndpoint") is not null;
#endif
}
