using System.CommandLine;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;
using Npgsql;
using RabbitMQ.Client.Exceptions;

namespace GptFunctions.Hosting;

/// <summary>Why a command cannot do what it is for: a sentence for the operator.</summary>
internal abstract class CommandException(string message) : Exception(message);

/// <summary>The command line: <c>GptFunctions COMMAND</c>. Commands use the same settings and services as the functions.</summary>
internal static class Commands
{
    /// <summary>For a command that is interrupted, to end what it is at and say so.</summary>
    private static readonly TimeSpan TimeToStop = TimeSpan.FromSeconds(10);

    private const int Refused = 1;
    private const int Unavailable = 69; // EX_UNAVAILABLE of sysexits.h

    /// <summary>Carries to a command what the program is made of.</summary>
    private sealed class Invocation(Action<IHostApplicationBuilder> addFeatures) : InvocationConfiguration
    {
        public Action<IHostApplicationBuilder> AddFeatures { get; } = addFeatures;
    }

    /// <summary>Whether these are the words of a command, rightly spelt or not; the Functions host starts the program with options of its own.</summary>
    public static bool Recognises(string[] args) =>
        args is [var first, ..] && (first is "--help" or "-h" or "-?" or "--version" || !first.StartsWith('-'));

    public static Task<int> RunAsync(string[] args, IEnumerable<Command> commands, Action<IHostApplicationBuilder> addFeatures)
    {
        var root = new RootCommand("OAuth 2.1 authorization server, webhook inbox and gateway for Custom GPTs. Without a command it runs the functions.");
        foreach (var command in commands)
        {
            root.Add(command);
        }

        return root.Parse(args).InvokeAsync(
            new Invocation(addFeatures) { EnableDefaultExceptionHandler = false, ProcessTerminationTimeout = TimeToStop });
    }

    /// <summary>Runs a command with the program's services; settings and outages that stand in the way become sentences.</summary>
    /// <param name="refuse">Says what is wrong with the settings, in place of the list that a start prints.</param>
    /// <returns>The exit code.</returns>
    public static async Task<int> WithServicesAsync(
        ParseResult parsed, Func<IServiceProvider, Task<int>> run, Func<IReadOnlyList<string>, Task<int>>? refuse = null)
    {
        var hint = "";
        try
        {
            var builder = Host.CreateEmptyApplicationBuilder(new HostApplicationBuilderSettings());
            builder.Configuration.AddEnvironmentVariables();
            builder.Logging.SetMinimumLevel(LogLevel.None);
            ((Invocation)parsed.InvocationConfiguration).AddFeatures(builder);
            hint = builder.Environment.IsDevelopment() ? " In a checkout 'make services' starts one." : "";
            using var host = builder.Build();
            host.Services.GetRequiredService<IStartupValidator>().Validate(); // all problems at once, and before anything is changed
            return await run(host.Services);
        }
        catch (Exception error) when (Startup.Problems(error) is { Count: > 0 } problems)
        {
            return await (refuse ?? Startup.ReportAsync)(problems);
        }
        catch (CommandException error)
        {
            return await FailAsync(error.Message);
        }
        catch (PostgresException error) when (error.SqlState == PostgresErrorCodes.UndefinedTable)
        {
            return await FailAsync("The database has no tables yet: run 'GptFunctions setup' first.");
        }
        catch (BrokerUnreachableException error)
        {
            await Console.Error.WriteLineAsync($"The broker at RABBITMQ_URL cannot be used: {error.GetBaseException().Message.TrimEnd('.')}.{hint}");
            return Unavailable;
        }
        catch (NpgsqlException error)
        {
            await Console.Error.WriteLineAsync($"The database at DATABASE_URL cannot be used: {error.Message.TrimEnd('.')}.{hint}");
            return Unavailable;
        }
    }

    /// <summary>Says why a command did nothing.</summary>
    public static async Task<int> FailAsync(string problem)
    {
        await Console.Error.WriteLineAsync(problem);
        return Refused;
    }
}
