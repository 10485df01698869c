using System.CommandLine;
using GptFunctions;
using GptFunctions.Audit;
using GptFunctions.Connect;
using GptFunctions.Connections;
using GptFunctions.Countdowns;
using GptFunctions.Data;
using GptFunctions.Development;
using GptFunctions.Gateway;
using GptFunctions.Health;
using GptFunctions.Hosting;
using GptFunctions.Identity;
using GptFunctions.Keys;
using GptFunctions.Maintenance;
using GptFunctions.Mcp;
using GptFunctions.OAuth;
using GptFunctions.Operations;
using GptFunctions.Pages;
using GptFunctions.Purge;
using GptFunctions.RateLimits;
using GptFunctions.Sessions;
using GptFunctions.Statistics;
using GptFunctions.Telemetry;
using GptFunctions.Tokens;
using GptFunctions.Verification;
using GptFunctions.Webhooks;
using Microsoft.Extensions.Hosting;

// GptFunctions setup | clients | ... | --help. Anything else runs the functions.
return Commands.Recognises(args) ? await Commands.RunAsync(args, Features.Commands, Features.AddToCommand)
    : await SetupCommand.RunFirstAsync() is not 0 and var problem ? problem
    : await Startup.RunAsync(args, Features.Add);

namespace GptFunctions
{
    /// <summary>The table of contents: everything this program is made of, one line each.</summary>
    internal static class Features
    {
        public static Command[] Commands =>
        [
            SetupCommand.Create(), ClientCommands.Create(), AuditCommands.Create(), MessageCommands.Create(), PurgeCommands.Create(), WebhookCommands.Create(),
            SessionCommands.Create(), UserCommands.Create(), CountdownCommands.Create(), CallbackCommands.Create(), KeyCommands.Create(),
            DoctorCommand.Create(), ConnectCommand.Create(),
        ];

        public static void Add(IHostApplicationBuilder builder)
        {
            builder.AddHosting();     // settings from files, correlation, errors, security headers
            builder.AddTelemetry();   // traces, metrics and logs to a collector, where there is one
            builder.AddData();        // PostgreSQL and its migrations
            builder.AddStatistics();    // who runs, who uses what, what is refused: counted for operators' pages
            builder.AddTokens();      // signing keys and access tokens
            builder.AddPages();       // what every page for people is made of
            builder.AddKeys();        // which of them signs, agreed by all replicas
            builder.AddRateLimits();  // shared by all replicas
            builder.AddOAuth();       // the authorization server
            builder.AddIdentity();    // who is the person: Clerk
            builder.AddSessions();    // connected apps
            builder.AddConnections(); // the page on which people see and end them
            builder.AddWebhooks();    // events of Clerk, Stripe and others, each once
            builder.AddCountdowns();  // what happens later, once
            builder.AddVerification(); // orders are verified in time, or a refund is due
            builder.AddAudit();       // outbox, relay, audit trail
            builder.AddMaintenance(); // what operators ask for and what takes its time
            builder.AddPurge();       // old rows go, every six hours
            builder.AddGateway();     // from a token to an internal user, limited and forwarded
            builder.AddMcp();         // the same routes as MCP tools
            builder.AddHealth();      // live, ready
            builder.AddOperations();  // pages for those on call
            builder.AddDevelopment(); // sign-in, upstream and settings for a first look; nothing in Production
        }

        public static void AddToCommand(IHostApplicationBuilder builder)
        {
            Add(builder);
            builder.AddPatience(); // with the database: a person waits, and nobody behind them
        }
    }
}
